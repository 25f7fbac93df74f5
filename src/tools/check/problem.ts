import { isAbsolute } from 'node:path';
import { hidePasswords } from '../../errors.ts';
import type { FailedImport } from './import-module.ts';
import { findMissing, findOption, findSourceLine, toSource } from './source-line.ts';

/** Something of an app that has to be mended. The same keys in every problem, null where there is nothing to say. */
export interface Problem {
  /** One of Islet's error codes. */
  code: string;
  /** The queue that it concerns; null when it is no single one. */
  queue: string | null;
  /** From the app's folder, as its author knows it: the source, not what was compiled from it. */
  file: string | null;
  line: number | null;
  /** What happened, and what to do. */
  message: string;
}

/** A module as its author knows it. */
export interface Subject {
  /** For errors that are none of Islet's. */
  code: string;
  queue?: string | undefined;
  file: string;
  /** Begins a sentence: `Task "send-mail" (queue "mail")`. */
  title: string;
  /** What does not work as long as it is broken, a whole sentence. */
  effect: string;
}

const toSentence = (text: string) => (/[.!?]$/.test(text.trim()) ? text.trim() : `${text.trim()}.`);

/** A package can be installed, a file cannot. */
function advise(root: string, { message, stack }: FailedImport): string {
  if (stack === '') return '';
  const missing = findMissing(root, message)?.missing;
  if (missing === undefined || isAbsolute(missing)) return ' Fix it.';
  return ` Install it (npm install ${missing}), or fix the import.`;
}

/** What a failed import tells the app's author. */
export function toProblem(root: string, subject: Subject, failed: FailedImport): Problem {
  const { code, queue, file, title, effect } = subject;
  const place = findSourceLine(root, file, failed);
  const own = failed.code !== undefined;
  const text = own ? failed.message : `${title}: ${toSentence(failed.message)} ${effect}${advise(root, failed)}`;
  const option = own ? /`(\w+)`/.exec(failed.message)?.[1] : undefined;
  const line = option === undefined ? undefined : findOption(root, place.file, option, place.line);
  const shown = text.replaceAll(`${root}/`, '').replace(/\bdist\/[^\s:'"]+\.js\b/g, (path) => toSource(root, path));
  return {
    code: failed.code ?? code,
    queue: queue ?? null,
    file: place.file,
    line: line ?? place.line ?? null,
    message: hidePasswords(shown),
  };
}

import { isAbsolute } from 'node:path';
import { hidePasswords } from '../../errors.ts';
import type { FailedImport } from './import-module.ts';
import { findMissing, findOption, findSourceLine, toSource } from './source-line.ts';

/** Something that is wrong with an app. Every problem has all of these keys, some of which may be null. */
export interface Problem {
  /** One of Islet's error codes. */
  code: string;
  /** The queue that it concerns; null when it concerns none or several. */
  queue: string | null;
  /** The source file, from the app's folder, never the compiled one. */
  file: string | null;
  line: number | null;
  /** What happened, and what to do. */
  message: string;
}

/** How the messages speak of a module. */
export interface Subject {
  /** The code for errors that are not Islet's own. */
  code: string;
  queue?: string | undefined;
  file: string;
  /** The subject of a sentence, such as `Task "send-mail" (queue "mail")`. */
  title: string;
  /** What does not work as long as the module is broken, as a whole sentence. */
  effect: string;
}

const toSentence = (text: string) => (/[.!?]$/.test(text.trim()) ? text.trim() : `${text.trim()}.`);

/** Says what to do about a failed import: only a missing package can be installed. */
function advise(root: string, { message, stack }: FailedImport): string {
  if (stack === '') return '';
  const missing = findMissing(root, message)?.missing;
  if (missing === undefined || isAbsolute(missing)) return ' Fix it.';
  return ` Install it (npm install ${missing}), or fix the import.`;
}

/** Cuts what an import threw: a message may quote a whole file. */
function cut(thrown: FailedImport): FailedImport {
  const message = thrown.message.slice(0, 4_000);
  return { ...thrown, message, stack: thrown.stack.replace(thrown.message, () => message).slice(0, 20_000) };
}

/** Turns a failed import into a problem. */
export function toProblem(root: string, subject: Subject, thrown: FailedImport): Problem {
  const failed = cut(thrown);
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

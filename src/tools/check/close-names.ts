/** A name, and the task or queue that has it. */
export interface Named {
  name: string;
  owner: string;
  file: string;
  /** The option of the manifest that gives the name. */
  option: string;
}

/** Reduces a name to what people remember of it, without hyphens and plural. */
const essence = (name: string) => name.replaceAll('-', '').replace(/s$/, '');

/** Finds names that are easily taken for one another, such as send-mail, sendmail and send-mails. */
export function findCloseNames(all: readonly Named[]): { file: string; option: string; message: string }[] {
  const seen = new Map<string, Named>();
  return all.flatMap((one) => {
    const other = seen.get(essence(one.name));
    if (!other) seen.set(essence(one.name), one);
    // Two equal names are reported elsewhere, as a clash.
    if (!other || other.owner === one.owner || other.name === one.name) return [];
    const names = `"${one.name}" of ${one.owner} and "${other.name}" of ${other.owner}`;
    return [
      {
        file: one.file,
        option: one.option,
        message: `The names ${names} are easily taken for one another. Rename one.`,
      },
    ];
  });
}

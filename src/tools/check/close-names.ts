/** Who has a name. */
export interface Named {
  name: string;
  owner: string;
  file: string;
  /** The option of its manifest that gives it the name. */
  option: string;
}

/** What two names have in common that people take for one another: no hyphens, no plural. */
const essence = (name: string) => name.replaceAll('-', '').replace(/s$/, '');

/** Finds names that are easily taken for one another, such as send-mail, sendmail and send-mails. */
export function findCloseNames(all: readonly Named[]): { file: string; option: string; message: string }[] {
  const seen = new Map<string, Named>();
  return all.flatMap((one) => {
    const other = seen.get(essence(one.name));
    if (!other) seen.set(essence(one.name), one);
    // Two of one name are no close names, but a clash.
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

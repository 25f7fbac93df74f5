/** A name, and the task or queue that has it. */
export interface Named {
  name: string;
  owner: string;
  file: string;
  /** The option of the manifest that gives the name. */
  option: string;
  /** The queue of a task. */
  queue?: unknown;
}

/** Reduces a name to what people remember of it, without hyphens and plural. */
const essence = (name: string) => name.replaceAll('-', '').replace(/s$/, '');

/** A former name cannot be renamed, and stands only for jobs of its own queue. */
function mayClash(one: Named, other: Named): boolean {
  const former = [one, other].filter(({ option }) => option === 'formerNames').length;
  return former === 0 || (former === 1 && one.queue === other.queue);
}

/** Finds names that are easily taken for one another, such as send-mail, sendmail and send-mails. */
export function findCloseNames(all: readonly Named[]): { file: string; option: string; message: string }[] {
  const seen = new Map<string, Named[]>();
  return all.flatMap((one) => {
    const before = seen.get(essence(one.name)) ?? [];
    seen.set(essence(one.name), [...before, one]);
    // Two equal names are reported elsewhere, as a clash.
    const other = before.find((each) => each.owner !== one.owner && each.name !== one.name && mayClash(one, each));
    if (!other) return [];
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

/** An installed package that is to be copied. */
export interface Instance {
  readonly name: string;
  readonly folder: string;
  /** The real folders of the packages that load it; undefined stands for the bundle. */
  readonly loadedBy: ReadonlySet<string | undefined>;
}

/**
 * Says where each package goes in one `node_modules`, whatever package manager laid out the one that it comes from. Of two
 * versions of a package, one stands on top: the one that the bundle loads, or else the one that most packages load. The
 * other stands below the packages that load it.
 */
export function placePackages(instances: readonly Instance[]): Map<string, string[]> {
  const byFolder = new Map(instances.map((instance) => [instance.folder, instance]));
  const onTop = new Map<string, Instance>();
  for (const instance of instances) {
    const other = onTop.get(instance.name);
    if (other === undefined || compare(instance, other) < 0) onTop.set(instance.name, instance);
  }
  const places = new Map<string, string[]>();
  const place = (folder: string, trail: readonly string[]): string[] => {
    const instance = byFolder.get(folder);
    if (instance === undefined || trail.includes(folder)) return [];
    if (onTop.get(instance.name) === instance) return [`node_modules/${instance.name}`];
    return [...instance.loadedBy].flatMap((parent) =>
      parent === undefined
        ? []
        : place(parent, [...trail, folder]).map((above) => `${above}/node_modules/${instance.name}`),
    );
  };
  for (const { folder } of instances) places.set(folder, [...new Set(place(folder, []))]);
  return places;
}

function compare(a: Instance, b: Instance): number {
  const forBundle = Number(b.loadedBy.has(undefined)) - Number(a.loadedBy.has(undefined));
  return forBundle || b.loadedBy.size - a.loadedBy.size || (a.folder < b.folder ? -1 : 1);
}

/** Finds a package of which the bundle itself loads two versions: only one of them can stand on top. */
export function findClash(instances: readonly Instance[]): string | undefined {
  const names = instances.filter(({ loadedBy }) => loadedBy.has(undefined)).map(({ name }) => name);
  return names.find((name, at) => names.indexOf(name) !== at);
}

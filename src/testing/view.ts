/** Shows an object with its members as `read` gives them. What is written to it is written to the object. */
export function createView<T extends object>(real: T, read: (name: string | symbol) => unknown): T {
  // A proxy of the object itself would not do: a frozen object has to give its own members as they are.
  return new Proxy(Object.create(Object.getPrototypeOf(real)) as T, {
    get: (_, name) => read(name),
    set: (_, name, value) => Reflect.set(real, name, value),
    has: (_, name) => Reflect.has(real, name),
    deleteProperty: (_, name) => Reflect.deleteProperty(real, name),
    ownKeys: () => Reflect.ownKeys(real),
    getOwnPropertyDescriptor: (_, name) => {
      const found = Reflect.getOwnPropertyDescriptor(real, name);
      return found && { ...found, configurable: true };
    },
  });
}

/** `map` and `filter` of iterators, which @jax-js/jax calls and Node has only from version 22. */

/** Adds them to the prototype of all iterators where they are missing. */
export function ensureIteratorHelpers(): void {
  const prototype = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())) as object;
  const add = (name: string, value: unknown): void => {
    if (!(name in prototype))
      Object.defineProperty(prototype, name, { value, configurable: true, writable: true });
  };
  add('map', function* map<T, U>(this: Iterable<T>, f: (x: T, i: number) => U): Generator<U> {
    let i = 0;
    for (const x of this) yield f(x, i++);
  });
  add('filter', function* filter<T>(this: Iterable<T>, f: (x: T, i: number) => boolean): Generator<T> {
    let i = 0;
    for (const x of this) if (f(x, i++)) yield x;
  });
}

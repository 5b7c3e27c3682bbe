// Policies are compiled with the first request that they concern, and then kept.
/** A function that compiles each object once, for as long as the object is held by somebody: a changed policy is another object. */
export function compiledOnce<Source extends object, Compiled>(
  compile: (source: Source) => Promise<Compiled>,
): (source: Source) => Promise<Compiled> {
  const compiled = new WeakMap<Source, Promise<Compiled>>()
  return (source) => {
    let found = compiled.get(source)
    if (found === undefined) {
      found = compile(source)
      compiled.set(source, found)
    }
    return found
  }
}

// The objects that mutations make: `Object{…}`, `Object.spec.template{…}`, `JSONPatch{…}`.

/** Whether expressions of mutations may make an object of this name. */
export function makesObject(name: string): boolean {
  return name === 'JSONPatch' || name === 'Object' || name.startsWith('Object.')
}

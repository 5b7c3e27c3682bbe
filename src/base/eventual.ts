// Values that are at hand most often and have to be waited for sometimes: hot paths need not wait for what is there.

export type Eventual<T> = T | Promise<T>

/** Goes on with the value: at once when it is there. */
export function whenThere<T, U>(value: Eventual<T>, then: (value: T) => Eventual<U>): Eventual<U> {
  return value instanceof Promise ? value.then(then) : then(value)
}

/** What `make` gives; what `failed` makes of it when that throws or rejects. */
export function orFailed<T>(make: () => Eventual<T>, failed: (error: unknown) => T): Eventual<T> {
  try {
    const value = make()
    return value instanceof Promise ? value.catch(failed) : value
  } catch (error) {
    return failed(error)
  }
}

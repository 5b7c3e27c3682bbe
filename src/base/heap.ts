// A binary heap: the least item, by the given order, comes out first. Items can be taken out of the middle.

export class Heap<T> {
  readonly #before: (a: T, b: T) => boolean
  readonly #items: T[] = []
  readonly #places = new Map<T, number>()

  /** `before(a, b)`: a comes out ahead of b. */
  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before
  }

  get size(): number {
    return this.#items.length
  }

  peek(): T | undefined {
    return this.#items[0]
  }

  has(item: T): boolean {
    return this.#places.has(item)
  }

  push(item: T): void {
    if (this.#places.has(item)) return
    this.#items.push(item)
    this.#places.set(item, this.#items.length - 1)
    this.#rise(this.#items.length - 1)
  }

  pop(): T | undefined {
    const top = this.#items[0]
    if (top !== undefined) this.remove(top)
    return top
  }

  /** Takes the item out, wherever it is; false when it was not in. */
  remove(item: T): boolean {
    const place = this.#places.get(item)
    if (place === undefined) return false
    const last = this.#items.pop() as T
    this.#places.delete(item)
    if (place < this.#items.length) {
      this.#items[place] = last
      this.#places.set(last, place)
      this.#sink(place)
      this.#rise(place)
    }
    return true
  }

  #rise(start: number): void {
    for (let i = start; i > 0; ) {
      const parent = (i - 1) >> 1
      if (!this.#before(this.#items[i] as T, this.#items[parent] as T)) return
      this.#swap(i, parent)
      i = parent
    }
  }

  #sink(start: number): void {
    for (let i = start; ; ) {
      let least = i
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < this.#items.length && this.#before(this.#items[child] as T, this.#items[least] as T)) least = child
      }
      if (least === i) return
      this.#swap(i, least)
      i = least
    }
  }

  #swap(i: number, j: number): void {
    const a = this.#items[i] as T
    const b = this.#items[j] as T
    this.#items[i] = b
    this.#items[j] = a
    this.#places.set(b, i)
    this.#places.set(a, j)
  }
}

// Leaving the event loop to others for a moment.

/** Resolves after what waits for the loop now has had its turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

import fc from 'fast-check'

/** Cuts bytes at arbitrary places, as a network does. */
export function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  return [...at, bytes.length].map((end, i) => bytes.subarray(i === 0 ? 0 : at[i - 1], end))
}

export const places = fc.array(fc.nat(1_000_000), { maxLength: 20 })
export const payload = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))

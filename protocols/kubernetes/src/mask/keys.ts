/** Keys that mean something to masking, folded: in any case and with any of Unicode's look-alikes that Go's decoder takes. */
const known = [
  'kind',
  'apiversion',
  'metadata',
  'type',
  'data',
  'stringdata',
  'binarydata',
  'immutable',
  'items',
  'rows',
  'cells',
  'columndefinitions',
  'object',
  'annotations',
  'labels',
  'managedfields',
  'fieldsv1',
  'manager',
  'operation',
  'subresource',
  'time',
  'env',
  'value',
  'args',
  'command',
  'name',
  'namespace',
  'uid',
  'resourceversion',
  'selflink',
  'generatename',
  'continue',
  'creationtimestamp',
  'deletiontimestamp',
  'ownerreferences',
  'finalizers',
  'involvedobject',
  'regarding',
  'related',
  'targetref',
  'selector',
  'labelselector',
  'matchlabels',
  'matchexpressions',
  'nodeselector',
  'podselector',
  'namespaceselector',
  'spec',
  'status',
  'token',
  'reason',
  'message',
] as const

export type KeyName = (typeof known)[number]

/** Go's decoder matches field names by Unicode's simple folding: `ſtringData` and the Kelvin sign are other spellings. */
export function fold(text: string): string {
  return text.toUpperCase().toLowerCase()
}

const index = new Map<string, number>(known.map((name, position) => [name, position + 1]))

/** The number of a known key; 0 is any other. */
export function keyId(text: string): number {
  return index.get(fold(text)) ?? 0
}

export function idOf(name: KeyName): number {
  return index.get(name) ?? 0
}

/** The known names by a hash of their letters, so that most keys are ruled out without making a string of them. */
const byHash = new Map<number, { readonly letters: Buffer; readonly id: number }>()
for (const [name, id] of index) {
  const letters = Buffer.from(name, 'latin1')
  const hash = hashOf(letters, 0, letters.length)
  if (byHash.has(hash)) throw new Error(`two known keys have one hash: ${name}`)
  byHash.set(hash, { letters, id })
}
const longest = Math.max(...known.map((name) => name.length))

/** FNV-1a of the letters in any case; -1 when one is beyond ASCII. */
function hashOf(bytes: Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0
    if (byte >= 128) return -1
    hash = Math.imul(hash ^ (byte | 32), 0x01000193)
  }
  return hash >>> 0
}

/**
 * The same from the key's bytes, without quotes.
 * @param escaped whether a backslash is among them
 */
export function keyIdOfBytes(bytes: Buffer, start: number, end: number, escaped: boolean): number {
  if (escaped) return keyId(decodeText(bytes, start, end))
  // Beyond ASCII, a letter may have up to four bytes.
  if (end - start > longest * 4) return 0
  const hash = hashOf(bytes, start, end)
  if (hash === -1) return keyId(bytes.toString('utf8', start, end))
  const found = byHash.get(hash)
  if (!found || found.letters.length !== end - start) return 0
  for (let at = 0; at < found.letters.length; at += 1) if (((bytes[start + at] ?? 0) | 32) !== found.letters[at]) return 0
  return found.id
}

/** A string's text from the bytes between its quotes, escapes resolved. The bytes have been checked to be JSON. */
export function decodeText(bytes: Buffer, start: number, end: number): string {
  const text: unknown = JSON.parse(`"${bytes.toString('utf8', start, end)}"`)
  return typeof text === 'string' ? text : ''
}

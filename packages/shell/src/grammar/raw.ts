/**
 * How the Go structs behind mvdan-sh are read without believing them. Its public wrappers build getters for a whole subtree at
 * every access, which made a long text take minutes; the structs themselves are plain objects: fields by name, slices as
 * $array, $offset and $length, strings as one character for each byte.
 */
export type Raw = Readonly<Record<string, unknown>>

/** The tree nests deeper than we follow. */
export class TooDeep extends Error {
  override readonly name = 'TooDeep'
}

/** The tree isn't shaped as this release of mvdan-sh shapes it. */
export class Unreadable extends Error {
  override readonly name = 'Unreadable'
}

function isRaw(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null
}

/** A node; a nil interface is a bare object, a nil pointer its type's `nil`. */
export function rawOrNothing(value: unknown): Raw | undefined {
  if (!isRaw(value)) return undefined
  const type: unknown = value['constructor']
  return typeof type !== 'function' || type === Object || Reflect.get(type, 'nil') === value ? undefined : value
}

export function raw(value: unknown): Raw {
  const node = rawOrNothing(value)
  if (node === undefined) throw new Unreadable('a node is missing')
  return node
}

export function list(value: unknown): readonly Raw[] {
  if (!isRaw(value)) throw new Unreadable('a list is missing')
  const { $array: array, $offset: start, $length: length } = value
  if (!Array.isArray(array) || typeof start !== 'number' || typeof length !== 'number') throw new Unreadable('a list is missing')
  return array.slice(start, start + length).map(raw)
}

export function text(value: unknown): string {
  if (typeof value !== 'string') throw new Unreadable('a text is missing')
  return new TextDecoder().decode(Uint8Array.from(value, (byte) => byte.charCodeAt(0)))
}

export function flag(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new Unreadable('a flag is missing')
  return value
}

export function code(value: unknown): number {
  if (typeof value !== 'number') throw new Unreadable('a token is missing')
  return value
}

/** CallExpr, Word …: the name of the Go struct. */
export function typeOf(node: Raw): string {
  const type = nodeName(node)
  if (type === undefined) throw new Unreadable('a node has no type')
  return type
}

function nodeName(node: Raw): string | undefined {
  const constructor: unknown = node['constructor']
  const name: unknown = typeof constructor === 'function' ? Reflect.get(constructor, 'string') : undefined
  return typeof name === 'string' && name.startsWith('*syntax.') ? name.slice('*syntax.'.length) : undefined
}

/** Visits the node and all below it, field by field, so that no kind of node is passed over; `visit` says whether to go on below. */
export function walk(node: Raw, visit: (node: Raw) => boolean, depth = 0): void {
  if (depth > maxWalk) throw new TooDeep()
  if (!visit(node)) return
  for (const [key, value] of Object.entries(node)) {
    if (key.startsWith('$') || !isRaw(value)) continue
    if ('$array' in value) {
      if (Array.isArray(value['$array'])) for (const element of list(value)) if (nodeName(element) !== undefined) walk(element, visit, depth + 1)
    } else {
      const child = rawOrNothing(value)
      if (child !== undefined && nodeName(child) !== undefined) walk(child, visit, depth + 1)
    }
  }
}

const maxWalk = 400

/** Where a node begins or ends: in bytes of the UTF-8 text. */
export function offset(node: Raw, method: 'Pos' | 'End'): number {
  return code(call(raw(call(node, method)), 'Offset'))
}

function call(node: Raw, method: string): unknown {
  const member = node[method]
  if (typeof member !== 'function') throw new Unreadable(`${method} is missing`)
  const result: unknown = Reflect.apply(member, node, [])
  return result
}

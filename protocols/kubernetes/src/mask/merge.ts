/** JSON as JSON.parse gives it. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue }

export type PatchType = 'merge' | 'json' | 'strategic' | 'apply'

/** A patch that the API server would refuse, too, or whose outcome can't be told here. */
export class PatchError extends Error {
  override readonly name = 'PatchError'
}

const maxOperations = 10_000

/**
 * What an object becomes by a patch. Merge patches (RFC 7386) and JSON patches (RFC 6902) exactly. Strategic patches and
 * server-side apply merge by a schema that only the API server has: for them, the fields that they set are laid over the live
 * ones, entries of lists by the keys that Kubernetes' own types use. What such a patch takes away doesn't show.
 * @throws {PatchError}
 */
export function mergePatched(live: JsonValue | undefined, patch: JsonValue, type: PatchType): JsonValue {
  if (type === 'json') return jsonPatched(live ?? null, patch)
  return merged(live, patch, { nullRemoves: type !== 'apply', byKey: type !== 'merge' }, 0)
}

export function isObject(value: JsonValue | undefined): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isArray(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value)
}

interface Merging {
  /** RFC 7386 section 2: null takes a member away. */
  readonly nullRemoves: boolean
  readonly byKey: boolean
}

/** `patchMergeKey` of the types in k8s.io/api, the most telling first. */
const mergeKeys = ['name', 'mountPath', 'devicePath', 'containerPort', 'port', 'topologyKey', 'ip', 'uid', 'type']

function merged(target: JsonValue | undefined, patch: JsonValue, merging: Merging, depth: number): JsonValue {
  if (depth > 512) throw new PatchError('the patch is nested too deep')
  if (merging.byKey && isArray(target) && isArray(patch)) return mergedList(target, patch, merging, depth)
  if (!isObject(patch)) return patch
  const result = new Map<string, JsonValue>(isObject(target) ? Object.entries(target) : [])
  for (const [key, value] of Object.entries(patch)) {
    if (value === null && merging.nullRemoves) result.delete(key)
    else result.set(key, merged(result.get(key), value, merging, depth + 1))
  }
  // Not by assignment: a key `__proto__` is a key like others.
  return Object.fromEntries(result)
}

function mergedList(target: readonly JsonValue[], patch: readonly JsonValue[], merging: Merging, depth: number): JsonValue {
  const key = mergeKeys.find((name) => hasKey(target, name) && hasKey(patch, name))
  if (key === undefined) return patch
  const of = (item: JsonValue): JsonValue | undefined => (isObject(item) ? item[key] : undefined)
  const result = [...target]
  const places = new Map(target.map((item, index) => [of(item), index]))
  for (const item of patch) {
    const place = places.get(of(item))
    if (place === undefined) result.push(item)
    else result[place] = merged(target[place], item, merging, depth + 1)
  }
  return result
}

/** Whether every entry has the key, each with a value of its own. */
function hasKey(list: readonly JsonValue[], key: string): boolean {
  const values = new Set(list.map((item) => (isObject(item) ? item[key] : undefined)))
  return values.size === list.length && [...values].every((value) => typeof value === 'string' || typeof value === 'number')
}

function jsonPatched(live: JsonValue, patch: JsonValue): JsonValue {
  if (!isArray(patch)) throw new PatchError('a JSON patch must be an array')
  if (patch.length > maxOperations) throw new PatchError(`a JSON patch may hold ${maxOperations} operations`)
  return patch.reduce<JsonValue>((value, operation) => operated(value, operation), live)
}

function operated(root: JsonValue, operation: JsonValue): JsonValue {
  if (!isObject(operation)) throw new PatchError('an operation of a JSON patch must be an object')
  const path = pointer(operation['path'])
  const given = (): JsonValue => {
    if (operation['value'] === undefined) throw new PatchError('an operation of the JSON patch has no value')
    return operation['value']
  }
  switch (operation['op']) {
    case 'add':
      return put(root, path, given(), true)
    case 'replace':
      at(root, path)
      return put(root, path, given(), false)
    case 'remove':
      return removed(root, path)
    case 'test':
      if (!same(at(root, path), given())) throw new PatchError(`the JSON patch tests ${text(path)}, whose value is another`)
      return root
    case 'copy':
      return put(root, path, at(root, pointer(operation['from'])), true)
    case 'move': {
      const from = pointer(operation['from'])
      if (path.length > from.length && from.every((token, index) => token === path[index]))
        throw new PatchError('the JSON patch moves a value into itself')
      return put(removed(root, from), path, at(root, from), true)
    }
    default:
      throw new PatchError('the JSON patch has an unknown operation')
  }
}

/** RFC 6901. */
function pointer(value: JsonValue | undefined): readonly string[] {
  if (typeof value !== 'string' || (value !== '' && !value.startsWith('/'))) throw new PatchError('the JSON patch has an invalid path')
  if (/~(?![01])/.test(value)) throw new PatchError('the JSON patch has an invalid path')
  return value
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function text(path: readonly string[]): string {
  return `/${path.join('/')}`
}

function position(list: readonly JsonValue[], token: string, adding: boolean): number {
  if (adding && token === '-') return list.length
  const index = /^(?:0|[1-9]\d{0,8})$/.test(token) ? Number(token) : -1
  if (index < 0 || index >= list.length + (adding ? 1 : 0))
    throw new PatchError(`the JSON patch names ${token}, which the list does not have`)
  return index
}

function at(root: JsonValue, path: readonly string[]): JsonValue {
  let value = root
  for (const token of path) {
    const inner = isArray(value)
      ? value[position(value, token, false)]
      : isObject(value) && Object.hasOwn(value, token)
        ? value[token]
        : undefined
    if (inner === undefined) throw new PatchError(`the JSON patch names ${text(path)}, which does not exist`)
    value = inner
  }
  return value
}

/** A copy of the value with another at the path; only what lies on the path is copied. */
function put(root: JsonValue, path: readonly string[], value: JsonValue, adding: boolean): JsonValue {
  const [token, ...rest] = path
  if (token === undefined) return value
  if (isArray(root)) {
    const index = position(root, token, adding && rest.length === 0)
    if (rest.length > 0) return root.with(index, put(root[index] ?? null, rest, value, adding))
    return adding ? root.toSpliced(index, 0, value) : root.with(index, value)
  }
  if (!isObject(root)) throw new PatchError(`the JSON patch names ${text(path)}, which does not exist`)
  const members = new Map(Object.entries(root))
  const inner = members.get(token)
  if (rest.length > 0 && inner === undefined) throw new PatchError(`the JSON patch names ${text(path)}, which does not exist`)
  members.set(token, rest.length > 0 ? put(inner ?? null, rest, value, adding) : value)
  return Object.fromEntries(members)
}

function removed(root: JsonValue, path: readonly string[]): JsonValue {
  at(root, path)
  const [token, ...rest] = path
  if (token === undefined) return null
  if (isArray(root)) {
    const index = position(root, token, false)
    return rest.length === 0 ? root.toSpliced(index, 1) : root.with(index, removed(root[index] ?? null, rest))
  }
  if (!isObject(root)) return root
  const members = new Map(Object.entries(root))
  if (rest.length === 0) members.delete(token)
  else members.set(token, removed(members.get(token) ?? null, rest))
  return Object.fromEntries(members)
}

/** Whether two JSON values are equal, the order of members aside. */
export function same(a: JsonValue, b: JsonValue): boolean {
  if (isArray(a)) return isArray(b) && a.length === b.length && a.every((item, index) => same(item, b[index] ?? null))
  if (isObject(a)) {
    if (!isObject(b)) return false
    const keys = Object.keys(a)
    return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key] ?? null, b[key] ?? null))
  }
  return a === b
}

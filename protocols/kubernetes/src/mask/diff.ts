import type { CompiledMasks } from '@sallyport/policy'
import { defaultMaskLimits } from './limits.js'
import { isObject, same, type JsonValue } from './merge.js'
import { ObjectMasker } from './object-masker.js'
import { contextOf, isSecretResource, type RequestedResource } from './requested-resource.js'
import { textSentinel } from './sentinel.js'

export interface Change {
  /** `spec.replicas`, `spec.containers[api].image` */
  readonly path: string
  /** JSON of the value before, cut; undefined when there was none. */
  readonly from: string | undefined
  readonly to: string | undefined
}

export interface Diff {
  readonly changes: readonly Change[]
  /** More changes than these. */
  readonly truncated: boolean
}

export interface DiffOptions {
  readonly masks: CompiledMasks
  readonly resource?: RequestedResource
}

const maxChanges = 100
const maxCharacters = 200
/** What the API server keeps for itself. */
const noise = new Set(['managedFields', 'resourceVersion', 'generation'])
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

/**
 * What a held request changes, for those who decide on it: 100 changes at most, each value cut at 200 characters, both sides
 * masked before. A masked value that changes shows as a change from sentinel to sentinel. Bookkeeping of the API server and
 * `status` are left out.
 * @param live undefined when the object is new
 * @throws {ResponseMaskError} when one of them can't be masked
 */
export function diffObjects(live: JsonValue | undefined, next: JsonValue, options: DiffOptions): Diff {
  const changes: Change[] = []
  let truncated = false
  const add = (path: string, from: JsonValue | undefined, to: JsonValue | undefined): void => {
    if (changes.length >= maxChanges) truncated = true
    else changes.push({ path, from: shown(from), to: shown(to) })
  }
  const visit = (path: readonly string[], raw: Pair, seen: Pair): void => {
    if (truncated || isNoise(path)) return
    if (raw.from !== undefined && raw.to !== undefined && same(raw.from, raw.to)) return
    if (isObject(raw.from) && isObject(raw.to)) {
      for (const key of new Set([...Object.keys(raw.from), ...Object.keys(raw.to)]))
        visit([...path, key], { from: raw.from[key], to: raw.to[key] }, { from: member(seen.from, key), to: member(seen.to, key) })
      return
    }
    const lists = named(raw, seen)
    if (lists) {
      for (const [key, item] of lists) visit([...path, key], item.raw, item.seen)
      return
    }
    if (raw.from === undefined && isObject(raw.to) && path.length === 0) {
      for (const key of Object.keys(raw.to))
        visit([key], { from: undefined, to: raw.to[key] }, { from: undefined, to: member(seen.to, key) })
      return
    }
    add(
      shownPath(path),
      raw.from === undefined ? undefined : (seen.from ?? textSentinel),
      raw.to === undefined ? undefined : (seen.to ?? textSentinel),
    )
  }
  visit([], { from: live, to: next }, { from: live === undefined ? undefined : masked(live, options), to: masked(next, options) })
  return { changes, truncated }
}

interface Pair {
  readonly from: JsonValue | undefined
  readonly to: JsonValue | undefined
}

function masked(value: JsonValue, { masks, resource }: DiffOptions): JsonValue {
  const bytes = Buffer.from(JSON.stringify(value), 'utf8')
  const context = contextOf(masks, resource, defaultMaskLimits.depth)
  const result = ObjectMasker.mask(bytes, context, 'object', isSecretResource(resource) ? 'secret' : 'doubt')
  const parsed: JsonValue = JSON.parse((result.bytes ?? bytes).toString('utf8'))
  return parsed
}

function isNoise(path: readonly string[]): boolean {
  const [first, second = '', third] = path
  if (first === 'status') return true
  return first === 'metadata' && (noise.has(second) || (second === 'annotations' && third === lastApplied))
}

function member(value: JsonValue | undefined, key: string): JsonValue | undefined {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
}

/** Lists whose entries all have a name are compared by it, so that one more container isn't a change of all behind it. */
function named(raw: Pair, seen: Pair): [string, { raw: Pair; seen: Pair }][] | undefined {
  const from = byName(raw.from)
  const to = byName(raw.to)
  if (!from || !to) return undefined
  const entry = (list: JsonValue | undefined, index: number | undefined): JsonValue | undefined =>
    index !== undefined && Array.isArray(list) ? list[index] : undefined
  return [...new Set([...from.keys(), ...to.keys()])].map((name) => {
    const [before, after] = [from.get(name), to.get(name)]
    return [
      `[${label(entry(seen.to, after) ?? entry(seen.from, before))}]`,
      {
        raw: { from: entry(raw.from, before), to: entry(raw.to, after) },
        seen: { from: entry(seen.from, before), to: entry(seen.to, after) },
      },
    ]
  })
}

function label(item: JsonValue | undefined): string {
  const name = isObject(item) ? item['name'] : undefined
  return typeof name === 'string' ? name : '?'
}

function byName(list: JsonValue | undefined): ReadonlyMap<string, number> | undefined {
  if (!Array.isArray(list) || list.length === 0) return undefined
  const names = new Map<string, number>()
  for (const [index, item] of list.entries()) {
    const name = isObject(item) ? item['name'] : undefined
    if (typeof name !== 'string' || names.has(name)) return undefined
    names.set(name, index)
  }
  return names
}

function shown(value: JsonValue | undefined): string | undefined {
  if (value === undefined) return undefined
  const text = printable(JSON.stringify(value))
  return text.length <= maxCharacters ? text : `${text.slice(0, maxCharacters - 1)}…`
}

/** Controls, and what turns the direction of writing, written out: an approval must read as what it is. */
function printable(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function shownPath(path: readonly string[]): string {
  let text = ''
  for (const segment of path) {
    if (segment.startsWith('[')) text += segment
    else if (/^[A-Za-z0-9_-]+$/.test(segment)) text += text === '' ? segment : `.${segment}`
    else text += `[${JSON.stringify(segment)}]`
  }
  return text === '' ? '.' : printable(text)
}

import { badQuery } from './refused.js'

export type QueryList = readonly (readonly [name: string, value: string])[]

const reading = ['fieldSelector', 'labelSelector', 'limit', 'continue', 'resourceVersion', 'resourceVersionMatch', 'timeoutSeconds', 'watch', 'allowWatchBookmarks', 'sendInitialEvents', 'includeObject', 'pretty', 'timeout']
const writing = ['dryRun', 'fieldManager', 'fieldValidation', 'force', 'pretty', 'timeout']
const deleting = ['dryRun', 'gracePeriodSeconds', 'propagationPolicy', 'orphanDependents', 'pretty', 'timeout']

/** Query parameters by what is asked (Kubernetes API reference, common parameters and operations). */
const known = {
  read: new Set(reading),
  write: new Set(writing),
  delete: new Set(deleting),
  deletecollection: new Set([...deleting, ...reading]),
  log: new Set(['container', 'follow', 'previous', 'sinceSeconds', 'sinceTime', 'timestamps', 'tailLines', 'limitBytes', 'stream', 'pretty', 'timeout']),
  exec: new Set(['command', 'container', 'stdin', 'stdout', 'stderr', 'tty', 'timeout']),
  attach: new Set(['container', 'stdin', 'stdout', 'stderr', 'tty', 'timeout']),
  portforward: new Set(['ports', 'timeout']),
  discovery: new Set(['timeout', 'verbose', 'exclude', 'hash']),
} as const

export type QueryKind = keyof typeof known

/** These may come several times; their order matters. */
const repeatable: ReadonlySet<string> = new Set(['command', 'ports', 'exclude'])
const booleans: ReadonlySet<string> = new Set(['watch', 'allowWatchBookmarks', 'sendInitialEvents', 'force', 'follow', 'previous', 'timestamps', 'stdin', 'stdout', 'stderr', 'tty', 'orphanDependents'])
const numbers: ReadonlySet<string> = new Set(['limit', 'timeoutSeconds', 'gracePeriodSeconds', 'sinceSeconds', 'tailLines', 'limitBytes'])
const trueValues: ReadonlySet<string> = new Set(['1', 't', 'T', 'TRUE', 'true', 'True'])
const falseValues: ReadonlySet<string> = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False', ''])

const maxQueryLength = 128 * 1024
const maxParameters = 1024

/** Takes a query string apart; escapes are resolved, and what could be read in two ways is refused. @throws {RequestRefusedError} */
export function readQuery(raw: string): QueryList {
  if (raw === '') return []
  if (raw.length > maxQueryLength) throw badQuery(`the query is longer than ${maxQueryLength} characters`)
  if (raw.includes(';') || !/^[\x21-\x7e]*$/.test(raw) || raw.includes('#')) throw badQuery('the query holds a character that must be escaped there')
  const parts = raw.split('&')
  if (parts.length > maxParameters) throw badQuery(`the query has more than ${maxParameters} parameters`)
  return parts.map((part) => {
    const equals = part.indexOf('=')
    const name = equals < 0 ? part : part.slice(0, equals)
    if (!/^[A-Za-z][A-Za-z0-9]{0,63}$/.test(name)) throw badQuery('a query parameter has no plain name')
    const value = decoded(equals < 0 ? '' : part.slice(equals + 1), name)
    return [name, value] as const
  })
}

/** Checks the parameters against what the operation knows, and writes each in its one canonical form. @throws {RequestRefusedError} */
export function checkQuery(query: QueryList, kind: QueryKind): QueryList {
  const names: ReadonlySet<string> = known[kind]
  const seen = new Set<string>()
  return query.map(([name, value]) => {
    if (!names.has(name)) throw badQuery(`the query parameter ${name} is not taken here`)
    if (seen.has(name) && !repeatable.has(name)) throw badQuery(`the query parameter ${name} stands twice`)
    seen.add(name)
    if (booleans.has(name)) return [name, String(booleanOf(name, value))] as const
    if (numbers.has(name) && !/^-?[0-9]{1,18}$/.test(value)) throw badQuery(`the query parameter ${name} is not a whole number`)
    if (name === 'dryRun' && value !== 'All') throw badQuery('dryRun knows the value All only')
    if (name === 'timeout' && !/^[0-9]{1,9}(ns|us|ms|s|m|h)?([0-9]{1,9}s)?$/.test(value)) throw badQuery('timeout is not a duration')
    return [name, value] as const
  })
}

export function queryText(query: QueryList): string {
  return query.length === 0 ? '' : `?${query.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')}`
}

export function valueOf(query: QueryList, name: string): string | undefined {
  return query.find(([found]) => found === name)?.[1]
}

export function valuesOf(query: QueryList, name: string): readonly string[] {
  return query.filter(([found]) => found === name).map(([, value]) => value)
}

function booleanOf(name: string, value: string): boolean {
  if (trueValues.has(value)) return true
  if (falseValues.has(value)) return false
  throw badQuery(`the query parameter ${name} is neither true nor false`)
}

function decoded(raw: string, name: string): string {
  let value: string
  try {
    value = decodeURIComponent(raw.replaceAll('+', ' '))
  } catch {
    throw badQuery(`the query parameter ${name} is not escaped in UTF-8`)
  }
  // Words of a command may hold anything that a program takes; NUL ends them for the container's kernel.
  if (value.includes('\0') || (name !== 'command' && /[\x00-\x1f\x7f]/.test(value))) throw badQuery(`the query parameter ${name} holds a control character`)
  return value
}

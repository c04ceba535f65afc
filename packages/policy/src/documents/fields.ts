import { RE2JS } from 're2js'
import { z } from 'zod'
import { ArgvPattern } from '../argv.js'
import { documentLimits } from '../limits.js'
import { PatternError, ResourcePattern } from '../resource.js'
import { nearest } from '../suggest.js'
import { parseDuration, parseSize } from './quantities.js'

/** Fields that several kinds of documents share. `title` in the metadata is what the reference prints as the type. */

/** What refinements need to report a problem. */
export interface Refusals {
  addIssue(issue: { code: 'custom'; message: string; path?: (string | number)[]; params?: { suggestion: string } }): void
}

/** Reports a problem; a suggestion travels beside the message. */
export function refuse(
  context: Refusals,
  message: string,
  options: { path?: (string | number)[]; suggestion?: string | undefined } = {},
): void {
  context.addIssue({
    code: 'custom',
    message,
    ...(options.path ? { path: options.path } : {}),
    ...(options.suggestion === undefined ? {} : { params: { suggestion: options.suggestion } }),
  })
}

/** Lower case only, so that two names never differ by case alone (the confusion has let users take over others' roles elsewhere). */
export const nameField = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/,
    'must be a name: 1 to 63 characters of a-z, 0-9, ".", "_", "-", beginning and ending with a letter or digit',
  )
  .meta({ title: 'name' })

export const textField = z.string().min(1, 'must not be empty').max(4096, 'must be at most 4096 characters')

export const labelsField = z
  .record(
    z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/, 'must be a label name of letters, digits, ".", "_", "/", "-"'),
    z.string().max(256),
  )
  .meta({ title: 'map of label → text' })

/** One value or a list; always a list afterwards. */
export function oneOrMany<T>(item: z.ZodType<T>, what: string): z.ZodType<T[]> {
  const many = z.array(item).min(1, `must name at least one ${what}`)
  return z
    .union([many, item], { error: `must be ${/^[aeiou]/.test(what) ? 'an' : 'a'} ${what} or a list of them` })
    .transform((value) => (Array.isArray(value) ? value : [value]))
}

/**
 * Whole seconds, from text such as `15m`.
 * @param min,max seconds, inclusive
 */
export function durationField(min: number, max: number): z.ZodType<number, string> {
  return z
    .string({ error: 'must be a duration such as 15m, 1h30m or 90s' })
    .transform((text, context) => {
      const seconds = parseDuration(text)
      if (seconds === undefined) refuse(context, `"${text}" is not a duration: write 15m, 1h30m or 90s`)
      else if (!Number.isInteger(seconds)) refuse(context, `"${text}" must be whole seconds`)
      else if (seconds < min || seconds > max) refuse(context, `"${text}" must be from ${min}s to ${max}s`)
      return seconds ?? 0
    })
    .meta({ title: 'duration' })
}

/** Bytes, from text such as `8KiB` or a number. */
export function sizeField(max: number): z.ZodType<number, string | number> {
  return z
    .union([z.string(), z.number()], { error: 'must be a size such as 8KiB, or 0' })
    .transform((value, context) => {
      const bytes = typeof value === 'number' ? value : parseSize(value)
      if (bytes === undefined || !Number.isInteger(bytes) || bytes < 0) refuse(context, `"${value}" is not a size: write 8KiB, 1MiB or 0`)
      else if (bytes > max) refuse(context, `"${value}" must be at most ${max} bytes`)
      return bytes ?? 0
    })
    .meta({ title: 'size' })
}

/** A resource pattern, checked to compile. */
export const patternField = z
  .string()
  .max(documentLimits.pattern_characters)
  .superRefine((text, context) => {
    const problem = patternProblem(() => new ResourcePattern(text))
    if (problem !== undefined) refuse(context, problem)
  })
  .meta({ title: 'resource pattern' })

function patternProblem(compile: () => unknown): string | undefined {
  try {
    compile()
    return undefined
  } catch (error) {
    return error instanceof PatternError ? error.message : 'is not a pattern'
  }
}

/** Words of a command, checked to compile. */
export const argvField = z
  .string()
  .max(documentLimits.pattern_characters)
  .superRefine((text, context) => {
    const problem = patternProblem(() => new ArgvPattern(text))
    if (problem !== undefined) refuse(context, problem)
  })
  .meta({ title: 'argv pattern' })

/** `schema.table.column`, each segment a glob. Fewer segments would silently mask nothing, so they are an error. */
export const columnPatternField = patternField
  .superRefine((text, context) => {
    if (text === '*' || patternProblem(() => new ResourcePattern(text)) !== undefined) return
    if (new ResourcePattern(text).length < 3)
      refuse(context, `"${text}" must name schema, table and column, such as "public.customers.email"`)
  })
  .meta({ title: 'column pattern' })

/** RE2 syntax: user patterns never reach a backtracking engine. */
export const re2Field = z
  .string()
  .min(1)
  .max(documentLimits.pattern_characters)
  .superRefine((text, context) => {
    try {
      RE2JS.compile(text)
    } catch {
      refuse(context, 'is not an RE2 pattern (no back-references, no look-around)')
    }
  })
  .meta({ title: 'RE2 pattern' })

/** `https:` address, or `http:` on loopback where the document says `insecureHttp: true`. */
export const urlField = z
  .string()
  .max(2048)
  .superRefine((text, context) => {
    const url = URL.parse(text)
    if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) refuse(context, `"${text}" is not an https address`)
    else if (url.username !== '' || url.password !== '' || url.hash !== '') refuse(context, 'must not hold credentials or a fragment')
  })
  .meta({ title: 'URL' })

export function isLoopback(address: string): boolean {
  const host = URL.parse(address)?.hostname ?? ''
  return host === 'localhost' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}

/** One of a fixed list of words, with a suggestion for a near miss. */
export function wordField<const T extends string>(words: readonly [T, ...T[]]): z.ZodType<T, T> {
  return z.enum(words)
}

/** For a value that had to be one of some words. */
export function suggestFor(value: unknown, words: Iterable<string>): string | undefined {
  return typeof value === 'string' ? nearest(value, words) : undefined
}

/** Exactly one of some keys must be given. */
export function exactlyOne(value: object, keys: readonly string[], context: Refusals, what: string): void {
  const given = keys.filter((key) => Object.hasOwn(value, key) && Reflect.get(value, key) !== undefined)
  if (given.length === 1) return
  const list = keys.join(', ')
  refuse(
    context,
    given.length === 0 ? `${what} needs one of: ${list}` : `${what} can have only one of: ${list} (it has ${given.join(' and ')})`,
  )
}

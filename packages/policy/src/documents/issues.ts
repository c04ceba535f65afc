import type { z } from 'zod'
import { documentLimits } from '../limits.js'
import { suggestFor } from './fields.js'
import { keysAt, type JsonSchema } from './json-schema.js'

/** One schema problem in words, with the path of what it is about. */
export interface IssueText {
  readonly path: readonly PropertyKey[]
  readonly part: 'key' | 'value'
  readonly message: string
  readonly suggestion?: string
}

type Issue = z.core.$ZodIssue

/** Puts zod's findings into sentences that name the fix. An unknown key is one finding each. */
export function describeIssues(issues: readonly Issue[], schema: JsonSchema): IssueText[] {
  const texts: IssueText[] = []
  for (const issue of issues) {
    if (texts.length >= documentLimits.errors_per_file) break
    texts.push(...describe(issue, [], schema))
  }
  return texts.slice(0, documentLimits.errors_per_file)
}

function describe(issue: Issue, base: readonly PropertyKey[], schema: JsonSchema): IssueText[] {
  const path = [...base, ...issue.path]
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = keysAt(schema, path)
      return issue.keys.slice(0, documentLimits.errors_per_file).map((key) => ({
        path: [...path, key],
        part: 'key',
        message: `unknown key "${key}"${known.length > 0 ? `; known: ${known.join(', ')}` : ''}`,
        ...optional(suggestFor(key, known)),
      }))
    }
    case 'invalid_type': {
      const missing = issue.input === undefined
      // zod's own wording for types; a field's wording ("must be a duration such as …") is kept.
      const own = issue.message.startsWith('Invalid input')
        ? `must be ${typeNames[issue.expected] ?? issue.expected}, not ${kindOf(issue.input)}`
        : issue.message
      return [{ path, part: 'value', message: missing ? `the key "${String(path.at(-1) ?? 'document')}" is missing` : own }]
    }
    case 'invalid_value': {
      const words = issue.values.map(String)
      if (issue.input === undefined)
        return [
          {
            path,
            part: 'value',
            message: `the key "${String(path.at(-1) ?? 'document')}" is missing; it must be one of: ${words.join(', ')}`,
          },
        ]
      const message = `${shown(issue.input)} is not ${words.length === 1 ? words[0] : `one of: ${words.join(', ')}`}`
      return [{ path, part: 'value', message, ...optional(suggestFor(issue.input, words)) }]
    }
    case 'invalid_union': {
      if (issue.input === undefined) return [{ path, part: 'value', message: `the key "${String(path.at(-1) ?? 'document')}" is missing` }]
      // Of `x or list of x` the branch that has the right type says what is wrong; the other only says that it is the other.
      const branch = issue.errors.find(
        (errors) => errors.length > 0 && !errors.some((error) => error.code === 'invalid_type' && error.path.length === 0),
      )
      return branch ? branch.flatMap((error) => describe(error, path, schema)) : [{ path, part: 'value', message: issue.message }]
    }
    case 'invalid_key':
      return issue.issues.map((inner) => ({ path, part: 'key', message: inner.message }))
    case 'custom': {
      const suggestion: unknown = issue.params?.['suggestion']
      return [{ path, part: 'value', message: issue.message, ...optional(typeof suggestion === 'string' ? suggestion : undefined) }]
    }
    default:
      return [{ path, part: 'value', message: issue.message.replace(/^Invalid input: expected/, 'expected') }]
  }
}

function optional(suggestion: string | undefined): { suggestion?: string } {
  return suggestion === undefined ? {} : { suggestion }
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of keys',
  record: 'a map of keys',
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'missing'
  if (value === null) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'string') return 'text'
  return typeof value === 'object' ? 'a map' : `${typeof value === 'boolean' ? 'the boolean' : 'the number'} ${JSON.stringify(value) ?? 'undefined'}`
}

function shown(value: unknown): string {
  return typeof value === 'string'
    ? JSON.stringify(value.slice(0, 80))
    : typeof value === 'number' || typeof value === 'boolean'
      ? String(value)
      : kindOf(value)
}

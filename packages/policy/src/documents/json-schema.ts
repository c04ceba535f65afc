import { z } from 'zod'
import { documentKinds, type DocumentKind } from './kinds.js'

/** The parts of JSON Schema that the reference and the suggestions read. */
export interface JsonSchema {
  readonly title?: string
  readonly description?: string
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly default?: unknown
  readonly properties?: { readonly [key: string]: JsonSchema }
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | JsonSchema
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
}

const made = new Map<DocumentKind, JsonSchema>()

/**
 * JSON Schema (draft 2020-12) of a document kind, as authors write it: for editors and for the reference. Actions and a
 * target's own part are checked on top of it, since they depend on the protocol.
 */
export function documentJsonSchema(kind: DocumentKind): JsonSchema {
  const known = made.get(kind)
  if (known) return known
  const { schema } = documentKinds({ actionTrees: {}, parseTargetSpec: () => ({}) })[kind]
  const json: JsonSchema = asJsonSchema(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }))
  made.set(kind, json)
  return json
}

/** zod types its output more widely (schemas may be booleans); ours has objects only, checked here rather than assumed. */
function asJsonSchema(schema: object): JsonSchema {
  return schema
}

/** The keys known at a path inside a document, for suggestions; list positions and map keys are stepped over. */
export function keysAt(schema: JsonSchema, path: readonly PropertyKey[]): readonly string[] {
  let current: readonly JsonSchema[] = [schema]
  for (const step of path) {
    current = current.flatMap(alternatives).flatMap((candidate) => {
      if (typeof step === 'number') return candidate.items ? [candidate.items] : []
      const name = String(step)
      const { properties, additionalProperties } = candidate
      const property = properties && Object.hasOwn(properties, name) ? properties[name] : undefined
      if (property) return [property]
      return typeof additionalProperties === 'object' ? [additionalProperties] : []
    })
  }
  return [...new Set(current.flatMap(alternatives).flatMap((candidate) => Object.keys(candidate.properties ?? {})))]
}

export function alternatives(schema: JsonSchema): readonly JsonSchema[] {
  return schema.anyOf ? schema.anyOf.flatMap(alternatives) : [schema]
}

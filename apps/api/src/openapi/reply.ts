import { applyDecorators, SetMetadata } from '@nestjs/common'
import { ApiResponse } from '@nestjs/swagger'
import { z } from 'zod'
import { convert } from './schema.js'

export const REPLY = 'sallyport:reply'

/** What a route answers when all is well. */
export interface Reply {
  readonly status: number
  readonly type: string
  readonly schema: z.ZodType | undefined
}

/** What code makes of a reply's schema: it reads, and changes nothing. */
export type ReplyOf<S extends z.ZodType> = DeepReadonly<z.output<S>>

type DeepReadonly<T> = T extends readonly (infer Item)[] ? readonly DeepReadonly<Item>[] : T extends object ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> } : T

const named = new Map<string, unknown>()

/** Schemas of all replies that have a name (`meta({ id })`), by that name. */
export const namedSchemas = (): ReadonlyMap<string, unknown> => named

/**
 * States what a route answers: the status, and the schema of the JSON in it (none for an answer without a body). Tests
 * compare what routes really answer with it, and fail on a route that states nothing. For an answer that isn't JSON give its
 * `type`; the schema is of a stream's events then, or `z.string()`.
 */
export function ApiReply(status: number, schema?: z.ZodType, { type = 'application/json', description = '' } = {}): MethodDecorator {
  const reply: Reply = { status, type, schema }
  if (schema === undefined) return applyDecorators(SetMetadata(REPLY, reply), ApiResponse({ status, description }))
  const converted = convert(schema, 'output')
  for (const [id, one] of Object.entries(converted.named)) {
    const before = named.get(id)
    if (before !== undefined && JSON.stringify(before) !== JSON.stringify(one)) throw new Error(`two different schemas are named ${id}`)
    named.set(id, one)
  }
  return applyDecorators(SetMetadata(REPLY, reply), ApiResponse({ status, description, content: { [type]: { schema: converted.schema } } }))
}

/** A page of a list. `next` is there when more follow: give it as `cursor`. */
export const pageOf = <Item extends z.ZodType>(item: Item) => z.object({ items: z.array(item), next: z.string().optional().meta({ description: 'Give it as `cursor` to get the next page. Absent on the last.' }) })

/** An instant in UTC, as replies have it. */
export const instantField = z.iso.datetime({ offset: true })

import { applyDecorators } from '@nestjs/common'
import { ApiBody, ApiQuery, type OpenAPIObject } from '@nestjs/swagger'
import { z } from 'zod'

export type Schemas = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>
export type SchemaObject = Exclude<Schemas[string], { $ref: string }>

interface Converted {
  readonly schema: SchemaObject
  /** Schemas with a `meta({ id })` that it refers to, by that id. */
  readonly named: Readonly<Record<string, unknown>>
}

/**
 * The JSON Schema (OpenAPI 3.1 speaks it) of a zod schema: as what a client sends (`input`), or as what it gets
 * (`output`): there further members may come with a later version, and a client must not trip over them.
 */
export function convert(schema: z.ZodType, io: 'input' | 'output'): Converted {
  // Within another one, a schema with an id of its own is referred to rather than spelt out.
  const { properties, $defs } = z.toJSONSchema(z.object({ root: schema }), {
    io,
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
      // The pattern says again, at length, what the format says.
      if (jsonSchema.format !== undefined) delete jsonSchema.pattern
      // Integers without a bound of their own get JavaScript's, which tells a reader nothing.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
    },
  })
  const named: Record<string, unknown> = {}
  for (const [id, one] of Object.entries($defs ?? {})) {
    if (typeof one === 'object') {
      const { id: _, ...rest } = one
      named[id] = pointed(rest)
    }
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- both are JSON Schema, each typed by its own package
  return { schema: pointed(properties?.['root'] ?? {}) as SchemaObject, named } // decoder: both are JSON Schema, each typed by its own package
}

/** References as they lead within an OpenAPI document. */
function pointed(schema: unknown): unknown {
  return JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/$defs/', '"$ref":"#/components/schemas/'))
}

/** Documents a JSON body with the very schema that validates it. */
export const ApiBodyOf = (schema: z.ZodType): MethodDecorator => ApiBody({ schema: convert(schema, 'input').schema })

/** Documents query parameters with the very schema that validates them. */
export function ApiQueryOf(schema: z.ZodObject): MethodDecorator {
  const { properties, required } = convert(schema, 'input').schema
  return applyDecorators(
    ...Object.entries(properties ?? {}).map(([name, property]) => {
      return ApiQuery({ name, required: required?.includes(name) ?? false, schema: property })
    }),
  )
}

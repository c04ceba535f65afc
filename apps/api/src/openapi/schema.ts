import { applyDecorators } from '@nestjs/common'
import { ApiBody, ApiQuery, type OpenAPIObject } from '@nestjs/swagger'
import { z } from 'zod'

type Schemas = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>
type SchemaObject = Exclude<Schemas[string], { $ref: string }>

/** The JSON Schema (OpenAPI 3.1 speaks it) of a zod schema, as what a client sends. */
function jsonSchema(schema: z.ZodType): SchemaObject {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- both are JSON Schema, each typed by its own package
  return rest as SchemaObject // decoder: both are JSON Schema, each typed by its own package
}

/** Documents a JSON body with the very schema that validates it. */
export const ApiBodyOf = (schema: z.ZodType): MethodDecorator => ApiBody({ schema: jsonSchema(schema) })

/** Documents query parameters with the very schema that validates them. */
export function ApiQueryOf(schema: z.ZodObject): MethodDecorator {
  const { properties, required } = jsonSchema(schema)
  return applyDecorators(
    ...Object.entries(properties ?? {}).map(([name, property]) => {
      return ApiQuery({ name, required: required?.includes(name) ?? false, schema: property })
    }),
  )
}

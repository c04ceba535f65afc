import type { INestApplication } from '@nestjs/common'
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger'
import { problemSchema } from './problem.schema.js'
import { namedSchemas } from './reply.js'
import { convert, type Schemas } from './schema.js'

type PathItem = OpenAPIObject['paths'][string]

const methods = ['get', 'put', 'post', 'delete', 'patch'] as const

/** Controllers and handlers give an operation its id; both are listed in docs/openapi.json, so that a change of one is seen. */
const operationId = (controller: string, handler: string): string => {
  const room = controller.replace(/Controller$/, '')
  return `${room.charAt(0).toLowerCase()}${room.slice(1)}.${handler}`
}

/** The API's description (OpenAPI 3.1): every route with what it takes, what it answers, and problem+json for all that goes wrong. */
export function describeApi(app: INestApplication): OpenAPIObject {
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Sallyport control plane')
    .setDescription('Identities, policies, approvals and audit. Errors are problem+json (RFC 9457) with a stable `code`.')
    .setVersion('1')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'An API token: spt_<id>_<secret>' })
    .build()
  const document = SwaggerModule.createDocument(app, config, { operationIdFactory: operationId })
  for (const item of Object.values(document.paths)) addProblems(item)
  document.components = { ...document.components, schemas: { ...document.components?.schemas, ...namedReplies() } }
  return document
}

function addProblems(item: PathItem): void {
  for (const method of methods) {
    const operation = item[method]
    if (!operation) continue
    operation.responses['default'] ??= { description: 'Why it was refused, and what to do next', content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } }
  }
}

function namedReplies(): Schemas {
  const { named } = convert(problemSchema, 'output')
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- both are JSON Schema, each typed by its own package
  return Object.fromEntries([...Object.entries(named), ...namedSchemas()].sort(([a], [b]) => (a < b ? -1 : 1))) as Schemas // decoder: JSON Schema of zod
}

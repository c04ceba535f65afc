import { Controller, Get, Header, Param } from '@nestjs/common'
import { ApiOperation, ApiTags } from '@nestjs/swagger'
import { documentJsonSchema, documentKindNames, isDocumentKind } from '@sallyport/policy'
import { z } from 'zod'
import { Permission } from '../access/permission.js'
import { ApiReply } from '../openapi/reply.js'
import { notFound } from '../problem/problem.js'

const jsonSchemaReply = z.looseObject({}).meta({ description: 'JSON Schema, draft 2020-12.' })

/** Schemas of documents, for editors: they hold nothing that isn't in the public reference. */
@ApiTags('documents')
@Controller('schemas/v1')
export class SchemasController {
  @Get(':file')
  @Permission('public')
  @Header('cache-control', 'public, max-age=3600')
  @Header('access-control-allow-origin', '*')
  @ApiOperation({ summary: 'JSON Schema of a document kind (`Policy.json`), or of any document (`sallyport.json`)', description: '`# yaml-language-server: $schema=https://SALLYPORT/schemas/v1/sallyport.json` at the top of a file lets editors complete and check it.' })
  @ApiReply(200, jsonSchemaReply)
  schema(@Param('file') file: string): z.infer<typeof jsonSchemaReply> {
    const kind = /^([A-Za-z]{1,40})\.json$/.exec(file)?.[1]
    if (kind === 'sallyport') return { $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'A document of Sallyport', oneOf: documentKindNames.map((name) => ofKind(name)) }
    if (!isDocumentKind(kind)) throw notFound('schema of this name')
    return { $schema: 'https://json-schema.org/draft/2020-12/schema', ...ofKind(kind) }
  }
}

function ofKind(kind: (typeof documentKindNames)[number]): object {
  const { $schema: _, ...schema } = { $schema: '', ...documentJsonSchema(kind) }
  return { title: kind, ...schema }
}

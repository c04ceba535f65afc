import type { INestApplication } from '@nestjs/common'
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger'

/** Serves the API's description at /openapi.json and as a page at /docs. Call before listen. */
export function setupOpenapi(app: INestApplication): void {
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Sallyport control plane')
    .setDescription('Identities, policies, approvals and audit. Errors are problem+json (RFC 9457) with a stable `code`.')
    .setVersion('1')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'An API token: spt_<id>_<secret>' })
    .build()
  SwaggerModule.setup('docs', app, () => SwaggerModule.createDocument(app, config), { jsonDocumentUrl: 'openapi.json', raw: ['json'] })
}

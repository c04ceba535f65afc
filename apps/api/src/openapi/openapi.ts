import type { INestApplication } from '@nestjs/common'
import { SwaggerModule } from '@nestjs/swagger'
import { describeApi } from './document.js'

/** Serves the API's description at /openapi.json and as a page at /docs. Call before listen. */
export function setupOpenapi(app: INestApplication): void {
  SwaggerModule.setup('docs', app, () => describeApi(app), { jsonDocumentUrl: 'openapi.json', raw: ['json'] })
}

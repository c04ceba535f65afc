import 'reflect-metadata'
import { NestFactory } from '@nestjs/core'
import type { OpenAPIObject } from '@nestjs/swagger'
import { AppModule } from '../app.module.js'
import { describeApi } from './document.js'

/** The API's description without a running control plane: nothing is started or connected to. For docs/openapi.json and the client's types. */
export async function describeOffline(): Promise<OpenAPIObject> {
  const app = await NestFactory.create(AppModule.register({}), { preview: true, logger: false, abortOnError: false })
  return describeApi(app)
}

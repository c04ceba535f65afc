import 'reflect-metadata'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { DynamicModule, LoggerService } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { NestExpressApplication } from '@nestjs/platform-express'
import type { Request, Response } from 'express'
import helmet from 'helmet'
import { AccessService } from './access/access.service.js'
import { AppModule } from './app.module.js'
import { BootstrapService } from './bootstrap/bootstrap.service.js'
import type { Environment } from './config/environment.js'
import { HttpConfig } from './config/http.config.js'
import { Database } from './database/database.js'
import { PrismaService } from './database/prisma.service.js'
import { GrpcServer } from './grpc/grpc.server.js'
import { setupOpenapi } from './openapi/openapi.js'

/** Bodies by path: documents are large, everything that strangers may send is small. */
const bodyLimits = { documents: '8mb', token: '64kb', other: '256kb' } as const
const applyPath = '/v1/apply'
const tokenPath = '/v1/token'
const logoutPath = '/auth/backchannel-logout/'

export interface RunningApi {
  readonly app: NestExpressApplication
  readonly httpUrl: string
  readonly grpcPort: number
  /** Lets running requests and audit writes finish, then closes everything, the embedded database last. */
  stop(): Promise<void>
}

/**
 * Starts the control plane: database, keys, rooms, REST, gRPC.
 * @param more rooms besides its own: tests look over its shoulder so
 */
export async function startApi(environment: Environment, logger: LoggerService | false, more: readonly DynamicModule[] = []): Promise<RunningApi> {
  // Settings that need no database are checked before one is started.
  const http = new HttpConfig(environment)
  const database = await Database.open(environment)
  try {
    const app = await NestFactory.create<NestExpressApplication>(AppModule.register({ ...environment, DATABASE_URL: database.url }, more), {
      logger,
      bodyParser: false,
      abortOnError: false,
      ...(http.tls ? { httpsOptions: http.tls } : {}),
    })
    const close = async (): Promise<void> => {
      await app.get(GrpcServer, { strict: false }).stop()
      await app.close()
      await app.get(PrismaService, { strict: false }).$disconnect()
    }
    try {
      return { app, ...(await listen(app, http)), stop: () => close().finally(() => database.close()) }
    } catch (error) {
      await close().catch(() => undefined)
      throw error
    }
  } catch (error) {
    await database.close()
    throw error
  }
}

async function listen(app: NestExpressApplication, http: HttpConfig): Promise<{ httpUrl: string; grpcPort: number }> {
  app.use(helmet({ contentSecurityPolicy: { useDefaults: true, directives: { 'upgrade-insecure-requests': null, 'frame-ancestors': ["'none'"] } } }))
  parseBodies(app)
  setupOpenapi(app)
  await app.init()
  await app.get(BootstrapService, { strict: false }).run()
  await app.listen(http.port, http.host)
  const httpUrl = urlOf(app, http)
  app.get(HttpConfig, { strict: false }).listening(httpUrl)
  return { httpUrl, grpcPort: await app.get(GrpcServer, { strict: false }).start() }
}

function parseBodies(app: NestExpressApplication): void {
  // The one large body is read only from those who may apply: a few dozen of them at once from strangers would take gigabytes. Left
  // unread for all others, whom the guard refuses a moment later.
  const authors = new WeakSet<IncomingMessage>()
  const mayApply = new Set(['admin', 'operator', 'policy_author'])
  app.use(applyPath, (request: Request, response: Response, next: () => void) => {
    app.get(AccessService, { strict: false }).authenticateRequest(request, response).then(
      (user) => {
        if (user?.roles.some((role) => mayApply.has(role))) authors.add(request)
        next()
      },
      () => next(),
    )
  })
  const pathOf = (request: IncomingMessage): string => (request.url ?? '').split('?', 1)[0] ?? ''
  const isJson = (request: IncomingMessage): boolean => /^application\/([\w.+-]+\+)?json\b/i.test(request.headers['content-type'] ?? '')
  const isForm = (request: IncomingMessage): boolean => /^application\/x-www-form-urlencoded\b/i.test(request.headers['content-type'] ?? '')
  app.useBodyParser('json', { limit: bodyLimits.documents, type: (request: IncomingMessage) => isJson(request) && authors.has(request) })
  app.useBodyParser('json', { limit: bodyLimits.token, type: (request: IncomingMessage) => isJson(request) && pathOf(request) === tokenPath })
  app.useBodyParser('urlencoded', { limit: bodyLimits.token, extended: false, parameterLimit: 50, type: (request: IncomingMessage) => isForm(request) && (pathOf(request) === tokenPath || pathOf(request).startsWith(logoutPath)) })
  app.useBodyParser('json', { limit: bodyLimits.other, type: (request: IncomingMessage) => isJson(request) && !pathOf(request).startsWith(applyPath) && pathOf(request) !== tokenPath })
}

function urlOf(app: NestExpressApplication, http: HttpConfig): string {
  const address: unknown = app.getHttpServer().address()
  const port = typeof address === 'object' && address !== null && 'port' in address && typeof address.port === 'number' ? address.port : http.port
  const host = http.host === '0.0.0.0' || http.host === '::' ? 'localhost' : isIP(http.host) === 6 ? `[${http.host}]` : http.host
  return `http${http.tls ? 's' : ''}://${host}:${port}`
}

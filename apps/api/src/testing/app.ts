import { createHmac, KeyObject, sign } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Global, Module, type INestApplication } from '@nestjs/common'
import { Test } from '@nestjs/testing'
import { DatabaseModule } from '../database/database.module.js'
import { DATABASE_URL } from '../database/database-url.js'
import { PrismaService } from '../database/prisma.service.js'
import { AccessModule } from '../access/access.module.js'
import { AccessService } from '../access/access.service.js'
import { ApprovalsModule } from '../approvals/approvals.module.js'
import { AuditModule } from '../audit/audit.module.js'
import { ApplyService } from '../documents/apply.service.js'
import { DocumentsModule } from '../documents/documents.module.js'
import { ENVIRONMENT, type Environment } from '../config/environment.js'
import { KeysModule } from '../keys/keys.module.js'
import { IdempotencyModule } from '../idempotency/idempotency.module.js'
import { KeysService } from '../keys/keys.service.js'
import { seal, unseal } from '../keys/seal.js'
import { AgentLinkService } from '../nodes/agent-link.service.js'
import { LimitsModule } from '../limits/limits.module.js'
import { setupOpenapi } from '../openapi/openapi.js'
import { PoliciesModule } from '../policies/policies.module.js'
import { PrivacyModule } from '../privacy/privacy.module.js'
import { RetentionModule } from '../retention/retention.module.js'
import { ProblemModule } from '../problem/problem.module.js'
import { SigninModule } from '../signin/signin.module.js'
import { SessionsService } from '../sessions/sessions.service.js'
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose'
import { ReplyCheckModule } from './reply-check.js'
import { startPostgres, type TestPostgres } from './postgres.js'

export interface SentMessage {
  readonly agent: string
  readonly typ: string
  readonly payload: { readonly [name: string]: unknown }
}

/** The rooms under test on a real database, with stand-ins for what reaches outside: keys, agents, live sessions. */
export interface TestApp {
  readonly app: INestApplication
  readonly postgres: TestPostgres
  readonly url: string
  /** What agents were sent, oldest first. */
  readonly sent: SentMessage[]
  readonly refreshed: { count: number }
  /** A token of an admin named `ada`. */
  readonly adminToken: string
  call(method: string, path: string, options?: { token?: string; body?: unknown }): Promise<{ status: number; body: any; headers: Headers }>
  stop(): Promise<void>
}

/** @param settings environment variables besides those of every test */
export async function startApp(settings: Environment = {}): Promise<TestApp> {
  const postgres = await startPostgres()
  const sent: SentMessage[] = []
  const refreshed = { count: 0 }
  const dataDirectory = mkdtempSync(join(tmpdir(), 'sallyport-api-'))
  const { publicKey, privateKey } = await generateKeyPair('EdDSA', { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1' }
  const master = Buffer.alloc(32, 5)
  const keys = {
    sign: (typ: string, payload: JWTPayload) => new SignJWT(payload).setProtectedHeader({ alg: 'EdDSA', typ, kid: 'k1' }).sign(privateKey),
    signText: (text: string) => Promise.resolve(sign(null, Buffer.from(text), KeyObject.from(privateKey))),
    publicKey: () => Promise.resolve(jwk),
    publicKeys: () => Promise.resolve([jwk]),
    identifierDigest: (text: string) => Promise.resolve(createHmac('sha256', 'identifiers').update(text).digest()),
    sealPart: (id: string, data: Uint8Array) => seal(master, id, data),
    unsealPart: (id: string, sealed: Uint8Array) => unseal(master, id, sealed),
    trustBundle: () => Promise.resolve({ json: JSON.stringify({ ca: '', keys: [jwk] }), fingerprint: '' }),
  }
  const link = {
    send(agent: string, typ: string, payload: SentMessage['payload']): Promise<void> {
      sent.push({ agent, typ, payload })
      return Promise.resolve()
    },
  }
  const sessions = {
    refreshGrants: () => Promise.resolve(void refreshed.count++),
    markEnded: () => Promise.resolve(),
  }

  @Global()
  @Module({
    providers: [
      { provide: PrismaService, useValue: postgres.prisma },
      { provide: DATABASE_URL, useValue: postgres.url },
      { provide: KeysService, useValue: keys },
      { provide: ENVIRONMENT, useValue: { SALLYPORT_DATA_DIR: dataDirectory, SALLYPORT_AUDIT_SIGN_SECONDS: '3600', SALLYPORT_INSECURE_HTTP: 'true', ...settings } },
      { provide: AgentLinkService, useValue: link },
      { provide: SessionsService, useValue: sessions },
    ],
    exports: [PrismaService, DATABASE_URL, KeysService, ENVIRONMENT, AgentLinkService, SessionsService],
  })
  class OutsideModule {}

  @Module({})
  class NoDatabaseModule {}

  @Module({})
  class NoKeysModule {}

  const testing = await Test.createTestingModule({
    imports: [
      ReplyCheckModule.register(), OutsideModule, ProblemModule, LimitsModule, IdempotencyModule, AuditModule, DocumentsModule, PoliciesModule, AccessModule, ApprovalsModule, RetentionModule,
      PrivacyModule, SigninModule,
    ],
  })
    .overrideModule(DatabaseModule)
    .useModule(NoDatabaseModule)
    .overrideModule(KeysModule)
    .useModule(NoKeysModule)
    .compile()
  const app = testing.createNestApplication()
  app.useLogger(false)
  app.enableShutdownHooks([])
  setupOpenapi(app)
  await app.listen(0, '127.0.0.1')
  const url = (await app.getUrl()).replace('[::1]', '127.0.0.1')
  await app.get(ApplyService).ensureAdmin('ada')
  const adminToken = (await app.get(AccessService).createToken({ user: 'ada', name: 'test' }, 'test')).token
  return {
    app,
    postgres,
    url,
    sent,
    refreshed,
    adminToken,
    async call(method, path, { token = adminToken, body } = {}) {
      const response = await fetch(url + path, {
        method,
        headers: { ...(token === '' ? {} : { authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      const isJson = /[/+]json\b/.test(response.headers.get('content-type') ?? '')
      return { status: response.status, body: isJson && text !== '' ? JSON.parse(text) : text, headers: response.headers }
    },
    async stop() {
      await app.close()
      await postgres.stop()
      rmSync(dataDirectory, { recursive: true, force: true })
    },
  }
}

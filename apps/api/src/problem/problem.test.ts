import { Controller, Get, HttpException, Logger, Module, type INestApplication } from '@nestjs/common'
import { Test } from '@nestjs/testing'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { AuditUnavailableError } from '../audit/chain-writer.js'
import { Problem } from './problem.js'
import { ProblemModule } from './problem.module.js'

const secret = 'password=hunter2'

@Controller()
class FailingController {
  @Get('bug')
  bug(): never {
    throw new TypeError(secret)
  }
  @Get('prisma')
  prisma(): never {
    throw Object.assign(new Error(`Invalid invocation: ${secret}`), { name: 'PrismaClientKnownRequestError' })
  }
  @Get('http')
  http(): never {
    throw new HttpException({ message: secret, internal: secret }, 403)
  }
  @Get('audit')
  audit(): never {
    throw new AuditUnavailableError(secret)
  }
  @Get('problem')
  problem(): never {
    throw new Problem(422, 'WRONG', 'It is wrong.', { hint: 'Correct it.', errors: [{ path: 'a.yaml', line: 3, message: 'm' }] })
  }
}

@Module({ imports: [ProblemModule], controllers: [FailingController] })
class AppModule {}

describe('problems', () => {
  let app: INestApplication
  let url: string
  const logged: unknown[] = []
  beforeAll(async () => {
    vi.spyOn(Logger.prototype, 'error').mockImplementation((message: unknown) => void logged.push(message))
    app = (await Test.createTestingModule({ imports: [AppModule] }).compile()).createNestApplication({ logger: false })
    await app.listen(0, '127.0.0.1')
    url = await app.getUrl()
  })
  afterAll(async () => {
    vi.restoreAllMocks()
    await app?.close()
  })
  const get = async (path: string) => {
    const response = await fetch(`${url}/${path}`, { headers: { 'x-request-id': 'forged' } })
    return { status: response.status, text: await response.text(), id: response.headers.get('x-request-id') }
  }

  it('never lets the text of a foreign error out', async () => {
    for (const [path, status, code] of [['bug', 500, 'INTERNAL'], ['prisma', 500, 'INTERNAL'], ['http', 403, 'FORBIDDEN'], ['audit', 503, 'AUDIT_UNAVAILABLE']] as const) {
      const reply = await get(path)
      expect(reply.status).toBe(status)
      expect(JSON.parse(reply.text)).toMatchObject({ status, code, request_id: reply.id })
      expect(reply.text).not.toContain('hunter2')
      expect(reply.id).not.toBe('forged')
    }
    // The database client's messages repeat what was in the query.
    expect(JSON.stringify(logged.filter((entry) => JSON.stringify(entry).includes('Prisma')))).not.toContain('hunter2')
    expect(logged).toHaveLength(3)
  })

  it('carries code, hint and places', async () => {
    const { status, text } = await get('problem')
    expect(status).toBe(422)
    expect(JSON.parse(text)).toMatchObject({
      type: 'about:blank', title: 'Unprocessable Content', status: 422, code: 'WRONG', detail: 'It is wrong.', hint: 'Correct it.',
      errors: [{ path: 'a.yaml', line: 3, message: 'm' }],
    })
  })
})

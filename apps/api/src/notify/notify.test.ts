import { Logger } from '@nestjs/common'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startPostgres, type TestPostgres } from '../testing/postgres.js'
import { NotifyService } from './notify.service.js'

describe('notify', () => {
  let postgres: TestPostgres
  beforeAll(async () => {
    Logger.overrideLogger(false)
    postgres = await startPostgres()
  })
  afterAll(async () => {
    await postgres?.stop()
  })

  it('reaches every replica, also after its connection was cut', async () => {
    const [a, b] = [new NotifyService(postgres.url, postgres.prisma), new NotifyService(postgres.url, postgres.prisma)]
    const got: string[] = []
    let reconnected = 0
    a.subscribe('room', (payload) => got.push(`a:${payload}`))
    b.onReconnect(() => reconnected++)
    await a.onModuleInit()
    await b.onModuleInit()
    b.subscribe('room', (payload) => got.push(`b:${payload}`))
    b.subscribe('room', () => {
      throw new Error('one bad handler')
    })
    try {
      await b.publish('room', 'one')
      await expect.poll(() => got.toSorted()).toEqual(['a:one', 'b:one'])
      await postgres.prisma.$executeRaw`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sallyport-notify'`
      await expect.poll(() => reconnected, { timeout: 5000 }).toBe(1)
      got.length = 0
      await expect.poll(async () => {
        await a.publish('room', 'two')
        return got.includes('a:two') && got.includes('b:two')
      }, { timeout: 5000, interval: 200 }).toBe(true)
      await expect(a.publish('room', 'x'.repeat(8000))).rejects.toThrow(RangeError)
    } finally {
      await a.onApplicationShutdown()
      await b.onApplicationShutdown()
    }
  })
})

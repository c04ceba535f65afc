import { Controller, Get, Post, type INestApplication } from '@nestjs/common'
import { Test } from '@nestjs/testing'
import type { OpenAPIObject } from '@nestjs/swagger'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ReplyCheckModule } from '../testing/reply-check.js'
import { describeOffline } from './offline.js'
import { ApiReply } from './reply.js'

interface Operation {
  readonly id: string
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>
}

describe('the description of the API', () => {
  let document: OpenAPIObject
  const operations = (): [string, Operation][] =>
    Object.entries(document.paths).flatMap(([path, item]) =>
      Object.entries(item as Record<string, { operationId: string; responses: Operation['responses'] }>).map(([method, { operationId, responses }]): [string, Operation] => [
        `${method.toUpperCase()} ${path}`,
        { id: operationId, responses },
      ]),
    )
  beforeAll(async () => {
    document = await describeOffline()
  })

  it('says of every route of /v1 what it answers, and that its errors are problem+json', () => {
    const silent = operations().filter(([route, { responses }]) => route.includes(' /v1/') && !Object.entries(responses).some(([status, { content }]) => /^2/.test(status) && (content !== undefined || status === '204')))
    expect(silent.map(([route]) => route)).toEqual([])
    expect(operations().length).toBeGreaterThan(45)
    for (const [, { responses }] of operations()) expect(responses['default']?.content).toHaveProperty(['application/problem+json'])
  })

  it('gives each operation an id of its own', () => {
    const ids = operations().map(([, { id }]) => id)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('pages every list: a limit, a cursor, and `next`', () => {
    // As long as the set of Retention documents, or of identity providers.
    const whole = new Set(['retention.preview', 'signin.providers'])
    const lists = Object.values(document.paths).flatMap(({ get }) => (get && JSON.stringify(get.responses['200'] ?? '').includes('"items"') && !whole.has(get.operationId ?? '') ? [get] : []))
    const unpaged = lists.filter(({ parameters }) => !['limit', 'cursor'].every((wanted) => parameters?.some((parameter) => 'name' in parameter && parameter.name === wanted)))
    expect(unpaged.map(({ operationId }) => operationId)).toEqual([])
    expect(lists.length).toBeGreaterThanOrEqual(9)
    for (const { responses } of lists) expect(JSON.stringify(responses['200'])).toContain('"next"')
  })

  it('takes an idempotency key wherever a signed-in caller creates something', () => {
    const creating = Object.values(document.paths).flatMap(({ post }) => (post && '201' in post.responses ? [post] : []))
    const without = creating.filter(({ parameters }) => !parameters?.some((parameter) => 'name' in parameter && parameter.name === 'Idempotency-Key'))
    expect(without.map(({ operationId }) => operationId)).toEqual([])
    expect(creating.length).toBeGreaterThanOrEqual(4)
  })

  it('refers to nothing that it lacks', () => {
    const names = new Set(Object.keys(document.components?.schemas ?? {}))
    const wanted = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name ?? '')
    expect(wanted.filter((name) => !names.has(name))).toEqual([])
    expect(wanted).toContain('Problem')
  })
})

const replySchema = z.object({ a: z.string(), b: z.int().optional() })

@Controller()
class RoutesController {
  @Get('right')
  @ApiReply(200, replySchema)
  right(): object {
    return { a: 'x' }
  }
  @Get('missing')
  @ApiReply(200, replySchema)
  missing(): object {
    return { b: 1 }
  }
  @Get('surplus')
  @ApiReply(200, replySchema)
  surplus(): object {
    return { a: 'x', secret: 'y' }
  }
  @Post('status')
  @ApiReply(200, replySchema)
  status(): object {
    return { a: 'x' }
  }
}

describe('the check of replies in tests', () => {
  let app: INestApplication
  let url: string
  beforeAll(async () => {
    app = (await Test.createTestingModule({ imports: [ReplyCheckModule.register()], controllers: [RoutesController] }).compile()).createNestApplication({ logger: false })
    await app.listen(0, '127.0.0.1')
    url = await app.getUrl()
  })
  afterAll(() => app?.close())

  it('fails a reply that lacks a member, has one too many, or another status', async () => {
    const statusOf = async (path: string, method = 'GET') => (await fetch(`${url}/${path}`, { method })).status
    expect(await statusOf('right')).toBe(200)
    expect(await statusOf('missing')).toBe(500)
    expect(await statusOf('surplus')).toBe(500)
    expect(await statusOf('status', 'POST')).toBe(500)
  })
})

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { documentKindNames } from '@sallyport/policy'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { startApp, type TestApp } from '../testing/app.js'

let t: TestApp
beforeAll(async () => {
  t = await startApp()
})
afterAll(() => t.stop())

const group = (name: string, description: string): string => `apiVersion: sallyport.dev/v1\nkind: Group\nmetadata: { name: ${name} }\nspec: { description: ${description} } # as written\n`
const user = (name: string, roles: string): string => `apiVersion: sallyport.dev/v1\nkind: User\nmetadata: { name: ${name} }\nspec: { roles: [${roles}] }\n`

async function apply(texts: readonly string[], reason: string, prune = false): Promise<void> {
  const { body } = await t.call('POST', '/v1/apply', { body: { documents: texts.map((text, index) => ({ path: `${index}.yaml`, text })), reason, prune } })
  expect(body).toMatchObject({ applied: true })
}
const current = async (): Promise<Record<string, string>> => Object.fromEntries((await t.call('GET', '/v1/documents')).body.items.map((item: { kind: string; name: string; text: string }) => [`${item.kind}/${item.name}`, item.text]))

describe('history', () => {
  it('tells who changed what and why, page by page, and brings everything back as it was', async () => {
    await apply([group('dba', 'one'), group('leads', 'one')], 'first')
    const first = await current()
    await apply([group('dba', 'two')], 'second')
    const second = await current()
    // Takes a document away, and makes a new one.
    await apply([user('ada', 'admin'), group('dba', 'three'), group('ops', 'new')], 'third', true)
    expect(Object.keys(await current())).toEqual(['Group/dba', 'Group/ops', 'User/ada'])

    const { body } = await t.call('GET', '/v1/documents/history?kind=Group')
    expect(body.items.map((item: { name: string; version: number; reason: string }) => `${item.name} ${item.version} ${item.reason}`)).toEqual(['ops 1 third', 'leads 2 third', 'dba 3 third', 'dba 2 second', 'leads 1 first', 'dba 1 first'])
    const paged = await t.call('GET', '/v1/documents/history?kind=Group&limit=4')
    expect((await t.call('GET', `/v1/documents/history?kind=Group&cursor=${paged.body.next}`)).body.items.map((item: { reason: string }) => item.reason)).toEqual(['first', 'first'])
    const of = (reason: string): { id: string } => body.items.find((item: { reason: string }) => item.reason === reason)
    expect((await t.call('GET', `/v1/documents/history/${of('second').id}`)).body).toMatchObject({ author: 'ada', text: group('dba', 'two') })
    expect((await t.call('GET', `/v1/documents/history/${body.items[1].id}`)).body).toMatchObject({ name: 'leads', text: null })

    const rollback = (to: string, more: object = {}, token?: string) => t.call('POST', '/v1/documents/rollback', { body: { to, reason: 'back', ...more }, ...(token === undefined ? {} : { token }) })
    const tried = await rollback(of('second').id, { dry_run: true })
    expect(tried.body).toMatchObject({ applied: false })
    expect(Object.keys(await current())).toContain('Group/ops')
    expect((await rollback(of('second').id)).body).toMatchObject({ applied: true })
    expect(await current()).toEqual(second)
    expect((await rollback(of('first').id)).body).toMatchObject({ applied: true })
    expect(await current()).toEqual(first)
    // A rollback is a change like any other: on record, and can be taken back.
    const [event] = (await t.call('GET', '/v1/events?kind=document.applied')).body.items
    expect(event.event).toMatchObject({ by: 'ada', reason: 'back' })
    expect((await rollback((await t.call('GET', '/v1/documents/history?limit=1')).body.items[0].id)).body).toMatchObject({ applied: false })
  })

  it('takes nobody further than an apply would', async () => {
    await apply([user('pia', 'policy_author'), user('mo', 'member'), group('dba', 'before')], 'people')
    const before = (await t.call('GET', '/v1/documents/history?limit=1')).body.items[0].id
    await apply([group('dba', 'after')], 'later')
    const tokenOf = async (name: string): Promise<string> => (await t.call('POST', '/v1/tokens', { body: { user: name, name: 'test', ttl_seconds: 600 } })).body.token
    const ask = async (name: string, to: string) => t.call('POST', '/v1/documents/rollback', { body: { to, reason: 'back' }, token: await tokenOf(name) })
    // A Group is the administrators' to change.
    expect((await ask('pia', before)).body).toMatchObject({ status: 403, detail: expect.stringContaining('Group/dba') })
    expect((await ask('mo', before)).status).toBe(403)
    expect((await t.call('GET', '/v1/documents/history', { token: await tokenOf('mo') })).status).toBe(403)
    expect((await ask('ada', '0190aaaa-0000-7000-8000-000000000001')).status).toBe(404)
    expect((await current())['Group/dba']).toContain('after')
  })
})

describe('JSON Schemas', () => {
  const directory = join(import.meta.dirname, '../../../../examples')
  const documents = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml')).flatMap((name) =>
    parseAllDocuments(readFileSync(join(directory, name), 'utf8')).map((document) => [name, document.toJS() as { kind: string; spec: Record<string, unknown> }] as const),
  )
  const schema = async (name: string) => t.call('GET', `/schemas/v1/${name}.json`, { token: '' })

  it('are public, for each kind and for all; every example fits, by another validator', async () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false })
    const all = ajv.compile((await schema('sallyport')).body)
    for (const kind of documentKindNames) {
      const one = ajv.compile((await schema(kind)).body)
      for (const [name, document] of documents.filter(([, candidate]) => candidate.kind === kind)) {
        expect(one(document), `${name}: ${JSON.stringify(one.errors)}`).toBe(true)
        expect(all(document), name).toBe(true)
        // What a protocol adds to a Target is for the protocol to know.
        if (kind !== 'Target') expect(one({ ...document, spec: { ...document.spec, invented: 1 } }), `${name} with a key that nobody knows`).toBe(false)
        expect(all({ ...document, kind: 'Other' })).toBe(false)
      }
    }
    for (const name of ['Nothing', 'policy', '..%2fPolicy', '__proto__']) expect((await schema(name)).status).toBe(404)
  })
})

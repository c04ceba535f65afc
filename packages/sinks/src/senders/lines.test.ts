import { appendFile, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { createHash, createHmac } from 'node:crypto'
import { join } from 'node:path'
import { httpReceiver } from '../testing/receiver.js'
import { parquetReadObjects } from 'hyparquet'
import { afterEach, beforeEach, expect, it } from 'vitest'
// @ts-expect-error -- it has no types
import S3rver from 's3rver'
import { recordsAt } from '../testing/records.js'
import { fileSender, jsonLines } from './lines.js'
import { s3Sender } from './s3.js'

let directory: string
beforeEach(async () => void (directory = await mkdtemp(join(tmpdir(), 'sallyport-sinks-'))))
afterEach(() => rm(directory, { recursive: true }))
const signal = AbortSignal.timeout(20_000)

it('appends, goes on after a rotation, and starts a new line after half a one', async () => {
  const path = join(directory, 'audit.jsonl')
  const sender = fileSender({ kind: 'file', name: 'audit.jsonl' }, directory)
  await sender.send(recordsAt(1), signal)
  await rename(path, path + '.1')
  await sender.send(recordsAt(2), signal)
  await appendFile(path, '{"half":')
  await sender.send(recordsAt(3), signal)
  await sender.close()
  expect(await readFile(path + '.1')).toEqual(jsonLines(recordsAt(1)))
  expect(await readFile(path, 'utf8')).toBe(`${jsonLines(recordsAt(2)).toString()}{"half":\n${jsonLines(recordsAt(3)).toString()}`)
})

it('does not follow a link out of its directory', async () => {
  await writeFile(join(directory, 'other'), 'kept')
  await symlink(join(directory, 'other'), join(directory, 'audit.jsonl'))
  await expect(fileSender({ kind: 'file', name: 'audit.jsonl' }, directory).send(recordsAt(1), signal)).rejects.toMatchObject({ code: 'ELOOP' })
  expect(await readFile(join(directory, 'other'), 'utf8')).toBe('kept')
})

it('puts objects into an S3-compatible store; an unknown key is refused', async () => {
  const server = new S3rver({ port: 0, address: '127.0.0.1', silent: true, directory, configureBuckets: [{ name: 'audit', configs: [] }] })
  const { port } = await server.run()
  const spec = { kind: 's3', endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', bucket: 'audit', prefix: 'log/', format: 'jsonl', accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER', tls: {} } as const
  const same = (reference: string): Promise<string> => Promise.resolve(reference)
  try {
    const sender = await s3Sender(spec, same)
    await sender.send(recordsAt(7, 8, 9), signal)
    await sender.close()
    const key = 'log/2026/01/02/03/00000000000000000007-00000000000000000009.jsonl'
    expect(await readFile(join(directory, 'audit', key + '._S3rver_object'))).toEqual(jsonLines(recordsAt(7, 8, 9)))
    const columns = await s3Sender({ ...spec, format: 'parquet' }, same)
    await columns.send(recordsAt(7, 8, 9), signal)
    await columns.close()
    const file = await readFile(join(directory, 'audit', key.replace('jsonl', 'parquet') + '._S3rver_object'))
    const rows = await parquetReadObjects({ file: new Uint8Array(file).buffer })
    const told = recordsAt(7, 8, 9).map(({ position, millis, id, kind, session, who, target, decision, json }) => {
      return { position, time: new Date(millis), id, kind, session: session ?? null, who: who ?? null, target: target ?? null, decision: decision ?? null, event: json }
    })
    expect(rows).toEqual(told)
    const wrong = await s3Sender({ ...spec, accessKeyId: 'another' }, same)
    await expect(wrong.send(recordsAt(10), signal)).rejects.toMatchObject({ kind: 'unavailable', code: 'HTTP_403' })
    await wrong.close()
  } finally {
    await server.close()
  }
})

it('signs with Signature Version 4 over path, content and every x-amz header, as calculated here from its description', async () => {
  const receiver = await httpReceiver(() => ({ status: 200 }))
  const spec = { kind: 's3', endpoint: receiver.url, region: 'eu-central-1', bucket: 'audit', prefix: 'a=b/', format: 'jsonl', accessKeyId: 'AK', secretAccessKey: 'SK', sessionToken: 'ST', tls: {} } as const
  const sender = await s3Sender(spec, (reference) => Promise.resolve(reference))
  await sender.send(recordsAt(1), signal)
  await sender.close()
  await receiver.close()
  const [request] = receiver.requests
  const header = (name: string): string => String(request?.headers[name])
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
  const [, scope = '', names = '', signature = ''] = /^AWS4-HMAC-SHA256 Credential=AK\/([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(header('authorization')) ?? []
  for (const name of ['host', 'x-amz-content-sha256', 'x-amz-checksum-sha256', 'x-amz-date', 'x-amz-security-token']) expect(names.split(';')).toContain(name)
  expect(header('x-amz-content-sha256')).toBe(sha256(request?.body ?? ''))
  const path = (request?.path ?? '').split('/').map((part) => encodeURIComponent(decodeURIComponent(part))).join('/')
  const canonical = ['PUT', path, '', ...names.split(';').map((name) => `${name}:${header(name)}`), '', names, header('x-amz-content-sha256')].join('\n')
  const key = [...scope.split('/')].reduce<Buffer>((from, part) => createHmac('sha256', from).update(part).digest(), Buffer.from('AWS4SK'))
  expect(createHmac('sha256', key).update(['AWS4-HMAC-SHA256', header('x-amz-date'), scope, sha256(canonical)].join('\n')).digest('hex')).toBe(signature)
})

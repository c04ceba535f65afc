import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
// @ts-expect-error -- it has no types
import S3rver from 's3rver'
import { fileStore } from './file-store.js'
import { pathOf, StoreError, type PartName, type PartStore } from './part-store.js'
import { s3Store } from './s3-store.js'

let directory: string
const closing: (() => Promise<void>)[] = []
beforeEach(async () => void (directory = await mkdtemp(join(tmpdir(), 'sallyport-parts-'))))
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
  await rm(directory, { recursive: true })
})

const bytes = Buffer.from('sealed')
const name: PartName = { session: '019a0a21-0000-7000-8000-000000000001', first: 7n, last: 40n, sha256: createHash('sha256').update(bytes).digest('hex') }
const file = `0000000000000007-0000000000000040-${name.sha256.slice(0, 32)}.part`

async function s3(accessKeyId = 'S3RVER'): Promise<PartStore> {
  const server = new S3rver({ port: 0, address: '127.0.0.1', silent: true, directory, configureBuckets: [{ name: 'recordings', configs: [] }] })
  const { port } = await server.run()
  closing.push(() => server.close())
  return s3Store({ endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', accessKeyId, secretAccessKey: 'S3RVER' }, 'recordings', 'sally/')
}

test.each([['file', () => Promise.resolve(fileStore(directory))], ['s3', () => s3()]] as const)('%s: what is put is there, once, and what is not there is not', async (_kind, make) => {
  const store = await make()
  expect(await store.get(name)).toBeUndefined()
  await store.put(name, bytes)
  await store.put(name, bytes)
  expect(await store.get(name)).toEqual(bytes)
  expect(await store.get({ ...name, last: 41n })).toBeUndefined()
  const beside = { ...name, first: 41n, last: 44n }
  await store.put(beside, bytes)
  await store.delete(name)
  await store.delete(name)
  expect(await store.get(name)).toBeUndefined()
  expect(await store.get(beside)).toEqual(bytes)
  await store.delete(beside)
  for (const bad of [{ ...name, session: '../../etc' }, { ...name, sha256: '../x' }]) {
    await expect(store.put(bad, bytes)).rejects.toThrow(StoreError)
    await expect(store.get(bad)).rejects.toThrow(StoreError)
    await expect(store.delete(bad)).rejects.toThrow(StoreError)
  }
})

test('file: whole files alone, for this user alone, and none through a link', async () => {
  const store = fileStore(directory)
  await store.put(name, bytes)
  const folder = join(directory, name.session)
  expect(await readdir(folder)).toEqual([file])
  expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600)
  await writeFile(join(directory, 'other'), 'kept')
  await rm(join(folder, file))
  await symlink(join(directory, 'other'), join(folder, file))
  await store.put(name, bytes)
  expect(await readFile(join(directory, 'other'), 'utf8')).toBe('kept')
  await store.delete(name)
  // Its last part took the folder along.
  expect(await readdir(directory)).toEqual(['other'])
  await writeFile(folder, 'in the way')
  await expect(store.delete(name)).rejects.toThrow(/ENOTDIR/)
  await expect(store.put(name, bytes)).rejects.toThrow(/ENOTDIR|EEXIST/)
})

test('s3: objects below the prefix; a wrong key and a store that is gone are errors, not absence', async () => {
  await (await s3()).put(name, bytes)
  expect(await readFile(join(directory, 'recordings/sally', name.session, `${file}._S3rver_object`))).toEqual(bytes)
  await expect((await s3('another')).get(name)).rejects.toThrow('the store answered 403')
  const gone = s3Store({ endpoint: 'http://127.0.0.1:1', region: 'us-east-1', accessKeyId: 'a', secretAccessKey: 'b' }, 'recordings', '')
  await expect(gone.get(name)).rejects.toThrow('could not be reached')
  await expect(gone.put(name, bytes)).rejects.toThrow(StoreError)
  await expect(gone.delete(name)).rejects.toThrow('could not be reached')
  await expect((await s3('another')).delete(name)).rejects.toThrow('the store answered 403')
})

test('of files: no link, no pipe and nothing too large is read in the place of a part', async () => {
  const store = fileStore(directory)
  const name: PartName = { session: '00000000-0000-4000-8000-000000000001', first: 1n, last: 1n, sha256: createHash('sha256').update(bytes).digest('hex') }
  await store.put(name, bytes)
  const path = join(directory, pathOf(name))
  const put = async (make: () => Promise<unknown>): Promise<void> => {
    await rm(path)
    await make()
    await expect(store.get(name)).rejects.toThrow(StoreError)
  }
  await writeFile(join(directory, 'elsewhere'), 'secret')
  await put(() => symlink(join(directory, 'elsewhere'), path))
  await put(() => promisify(execFile)('mkfifo', [path]))
  await put(async () => {
    await writeFile(path, '')
    await truncate(path, 400 * 1024 * 1024)
  })
})

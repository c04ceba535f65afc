import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { deserializeAgentMessage, serializeAgentMessage, tunnelService } from './index.js'

const packageDir = fileURLToPath(new URL('..', import.meta.url))

async function texts(root: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    found[path.slice(root.length + 1)] = await readFile(path, 'utf8')
  }
  return found
}

it('has types that match the .proto files: run `pnpm --filter @sallyport/proto types` when this fails', async () => {
  const fresh = await mkdtemp(join(tmpdir(), 'sallyport-proto-'))
  try {
    await promisify(execFile)('sh', [join(packageDir, 'generate-types.sh'), fresh])
    expect(await texts(fresh)).toEqual(await texts(join(packageDir, 'src/types')))
  } finally {
    await rm(fresh, { recursive: true })
  }
})

it('names every message in messages.ts', async () => {
  const listed = await readFile(join(packageDir, 'src/messages.ts'), 'utf8')
  for (const file of await readdir(join(packageDir, 'src/types/sallyport/v1'))) {
    expect(listed).toContain(`/${file.replace(/\.ts$/, '.js')}'`)
  }
})

it('carries an agent message byte for byte, with 64-bit numbers as numbers', () => {
  const records = [Buffer.from('{"seq":9007199254740991}'), Buffer.alloc(0)]
  const bytes = serializeAgentMessage({ agentId: 'a', instanceId: 'i', counter: 2 ** 53 - 1, events: { firstSeq: 2 ** 40, records } })
  const message = deserializeAgentMessage(bytes)
  expect(message).toMatchObject({ agentId: 'a', counter: 2 ** 53 - 1, kind: 'events', events: { firstSeq: 2 ** 40 } })
  expect(message.events?.records.map((record) => Buffer.from(record).toString())).toEqual(records.map(String))
  expect(message.leaseRequest).toBeUndefined()
})

it('tells an empty oneof member from an absent one', () => {
  const { requestSerialize, requestDeserialize } = tunnelService.Connect
  expect(requestDeserialize(requestSerialize({ draining: {} })).kind).toBe('draining')
  const batch = requestDeserialize(requestSerialize({ frames: { frames: [{ channel: 7, data: Buffer.alloc(0) }, { channel: 8, end: true }] } }))
  expect(batch.frames?.frames[0]).toMatchObject({ channel: 7, body: 'data' })
  expect(batch.frames?.frames[1]).toMatchObject({ channel: 8, body: 'end', end: true })
})

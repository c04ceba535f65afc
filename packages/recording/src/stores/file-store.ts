import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathOf, StoreError, type PartStore } from './part-store.js'

/** Parts as files below a directory, 0600. Written whole: synced under another name, then renamed. */
export function fileStore(directory: string): PartStore {
  return {
    id: 'file',
    async put(name, bytes) {
      const path = join(directory, pathOf(name))
      const making = `${path}.${randomUUID()}.new`
      try {
        await mkdir(dirname(path), { recursive: true, mode: 0o700 })
        // Never through a link that somebody put there.
        const file = await open(making, 'wx', 0o600)
        try {
          await file.writeFile(bytes)
          await file.sync()
        } finally {
          await file.close()
        }
        await rename(making, path)
        for (const folder of [dirname(path), directory]) await syncDirectory(folder)
      } catch (error) {
        await rm(making, { force: true }).catch(() => undefined)
        throw new StoreError(`the part can not be written (${codeOf(error)})`, { cause: error })
      }
    },
    async get(name) {
      try {
        return await readFile(join(directory, pathOf(name)))
      } catch (error) {
        if (error instanceof StoreError) throw error
        if (codeOf(error) === 'ENOENT') return undefined
        throw new StoreError(`the part can not be read (${codeOf(error)})`, { cause: error })
      }
    },
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : 'FAILED')

import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, rename, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { maxPartBytes } from '../part.js'
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
        return await readPart(join(directory, pathOf(name)))
      } catch (error) {
        if (error instanceof StoreError) throw error
        if (codeOf(error) === 'ENOENT') return undefined
        throw new StoreError(`the part can not be read (${codeOf(error)})`, { cause: error })
      }
    },
    async delete(name) {
      const path = join(directory, pathOf(name))
      try {
        // A link that stands there goes itself, not what it leads to.
        await rm(path, { force: true })
        // The session's folder goes with its last part.
        await rmdir(dirname(path)).catch((error: unknown) => {
          if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(codeOf(error))) throw error
        })
      } catch (error) {
        throw new StoreError(`the part can not be deleted (${codeOf(error)})`, { cause: error })
      }
    },
  }
}

/** A plain file of the size of a part, and nothing else that somebody put in its place: no link, no pipe that never answers. */
async function readPart(path: string): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stat = await file.stat()
    if (!stat.isFile()) throw new StoreError('what stands in the place of the part is no file')
    if (stat.size > maxPartBytes) throw new StoreError('what stands in the place of the part is larger than a part may be')
    return await file.readFile()
  } finally {
    await file.close()
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

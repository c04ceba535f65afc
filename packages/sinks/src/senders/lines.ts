import { constants } from 'node:fs'
import { open, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import type { SinkDestination } from '@sallyport/policy'
import { DeliveryError, type Sender } from '../delivery.js'
import type { ShapedRecord } from '../shape.js'

export const jsonLines = (batch: readonly ShapedRecord[]): Buffer => Buffer.from(batch.map((record) => record.json + '\n').join(''))

/** Appends JSON lines to a file below `directory`, synced to disk per batch. A file that was moved away (logrotate) is made anew. */
export function fileSender(spec: Extract<SinkDestination, { kind: 'file' }>, directory: string): Sender {
  const path = join(directory, spec.name)
  let handle: FileHandle | undefined

  async function current(): Promise<FileHandle> {
    if (handle) {
      const [opened, named] = [await handle.stat(), await stat(path).catch(() => undefined)]
      if (named?.ino === opened.ino && named.dev === opened.dev) return handle
      await handle.close()
      handle = undefined
    }
    // A link in the directory must not lead the events into another file.
    handle = await open(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
    return handle
  }

  return {
    async send(batch) {
      const file = await current()
      const { size } = await file.stat()
      const data = Buffer.concat([(await endsInLine(file, size)) ? Buffer.alloc(0) : Buffer.from('\n'), jsonLines(batch)])
      try {
        await file.writeFile(data)
        await file.datasync()
      } catch (error) {
        // Half a batch on a full disk would stand there as a broken line.
        await file.truncate(size).catch(() => undefined)
        throw error
      }
      return []
    },
    async close() {
      await handle?.close()
      handle = undefined
    },
  }
}

/** A crash may have left half a line: the next one must not be glued to it. */
async function endsInLine(file: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return true
  const { buffer } = await file.read({ buffer: Buffer.alloc(1), position: size - 1 })
  return buffer[0] === 0x0a
}

/** JSON lines on a stream of this process. Acknowledged when the stream has taken them. */
export function streamSender(stream: Writable): Sender {
  return {
    send: (batch) =>
      new Promise((resolve, reject) => {
        stream.write(jsonLines(batch), (error) => {
          if (error) reject(new DeliveryError('unavailable', 'WRITE_FAILED', 'standard output can not be written'))
          else resolve([])
        })
      }),
    close: () => Promise.resolve(),
  }
}

/*
 * Loaded into the stack's own processes (NODE_OPTIONS=--import): lets a statement say at which step of its life a process dies, and
 * a test set a process' clock. A statement with `crash-at:POINT:ID` in it kills at that point, once for each ID.
 */
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'

const folder = process.env.FAULT_FOLDER
const app = /apps\/(agent|api)\/dist\/main\.js$/.exec(process.argv[1] ?? '')?.[1]
const tag = Buffer.from('crash-at:')

/** The point that the bytes name, with its id. */
function pointIn(chunk) {
  const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
  if (!(bytes instanceof Uint8Array)) return undefined
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const at = buffer.indexOf(tag)
  if (at < 0) return undefined
  const [, point, id] = /^crash-at:([a-z-]+):(\d+)/.exec(buffer.toString('latin1', at, at + 80)) ?? []
  return point === undefined ? undefined : { point, id, end: buffer.includes('"kind":"command.end"'), seq: Number(/"seq":(\d+)/.exec(buffer.toString('latin1', 0, 60))?.[1]) }
}

function die({ point, id }) {
  try {
    fs.mkdirSync(path.join(folder, `${point}-${id}`))
  } catch {
    return
  }
  process.kill(process.pid, 'SIGKILL')
}

function setClock() {
  const RealDate = Date
  let offset = 0
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [RealDate.now() + offset] : args, newTarget),
    get: (target, key) => (key === 'now' ? () => RealDate.now() + offset : Reflect.get(target, key)),
  })
  process.on('SIGUSR2', () => {
    offset = Number(fs.readFileSync(path.join(folder, 'clock'), 'utf8'))
    fs.writeFileSync(path.join(folder, `clock-${process.pid}`), String(offset))
  })
}

function agentPoints() {
  const { writeSync, writeFileSync } = fs
  let noted
  fs.writeSync = (fd, bytes, ...rest) => {
    const found = pointIn(bytes)
    if (found?.point === 'before-record' || (found?.point === 'before-end' && found.end)) die(found)
    if (found?.point === 'slow') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400)
    const written = writeSync(fd, bytes, ...rest)
    if (found?.point === 'recorded' || (found?.point === 'ended' && found.end)) die(found)
    if (found?.point === 'acknowledged') noted ??= found
    return written
  }
  fs.writeFileSync = (file, data, ...rest) => {
    if (noted !== undefined && String(file).endsWith('acked.new') && Number(data) >= noted.seq) die(noted)
    return writeFileSync(file, data, ...rest)
  }
  // Query and Parse messages to the target, in the clear.
  onWrite((socket, found, chunk, write) => {
    if (chunk[0] !== 0x51 && chunk[0] !== 0x50) return write()
    if (found.point === 'result') socket.prependOnceListener('data', () => die(found))
    return found.point === 'sent' ? write(() => die(found)) : write()
  })
}

function apiPoints() {
  const inserted = new WeakMap()
  onWrite((socket, found, _chunk, write) => {
    if (found.point === 'api-received') die(found)
    if (found.point === 'api-inserted') socket.prependOnceListener('data', () => die(found))
    if (found.point === 'api-committed') inserted.set(socket, found)
    return write()
  }, (socket, chunk) => {
    const found = inserted.get(socket)
    if (found !== undefined && Buffer.from(chunk).includes('COMMIT')) socket.prependOnceListener('data', () => die(found))
  })
}

function onWrite(marked, other = () => undefined) {
  const { write } = net.Socket.prototype
  net.Socket.prototype.write = function patched(chunk, ...rest) {
    const found = pointIn(chunk)
    if (found !== undefined) return marked(this, found, Buffer.from(chunk), (then) => (then === undefined ? write.call(this, chunk, ...rest) : write.call(this, chunk, then)))
    if (typeof chunk !== 'string') other(this, chunk)
    return write.call(this, chunk, ...rest)
  }
}

if (folder !== undefined && app !== undefined) {
  setClock()
  if (app === 'agent') agentPoints()
  else apiPoints()
}

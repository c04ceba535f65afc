import { EventEmitter } from 'node:events'
import { Socket } from 'node:net'
import ssh2 from 'ssh2'
import { expect, test } from 'vitest'
import { guardTransport } from './transport-guard.js'

test('S7 a client that asks and never reads the answers is read no more until it does', () => {
  const socket = new Socket()
  let unsent = 1024
  Object.defineProperty(socket, 'writableLength', { get: () => unsent })
  const connection = Object.assign(new EventEmitter(), { _protocol: { _onPayload: () => undefined }, _chanMgr: { get: () => undefined } })
  expect(Reflect.apply(guardTransport, undefined, [connection, socket, { violated: () => undefined }])).toBe(true)
  socket.resume()
  socket.emit('data', Buffer.from('x'))
  expect(socket.isPaused()).toBe(false)
  unsent = 5 * 1024 * 1024
  socket.emit('data', Buffer.from('x'))
  expect(socket.isPaused()).toBe(true)
  unsent = 0
  socket.emit('drain')
  expect(socket.isPaused()).toBe(false)
  socket.destroy()
})

test('a connection that can not be guarded says so', () => {
  expect(guardTransport(new ssh2.Client(), new Socket(), { violated: () => undefined })).toBe(false)
})

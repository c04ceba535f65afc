import type { Socket } from 'node:net'
import type { FrontContext, ProtocolFront } from '@sallyport/kit'

/**
 * The smallest protocol that has everything: `user password\n` is answered by `OK session key\n` or `ERR code\n`, then
 * bytes are echoed by the agent; `KEY user signature\n` proves a public key instead; `CANCEL key\n` signals another
 * connection's session.
 */
export const echoFront: ProtocolFront = {
  protocol: 'echo',
  handle(socket, context) {
    void serve(socket, context)
  },
}

async function serve(socket: Socket, context: FrontContext): Promise<void> {
  const gone = new AbortController()
  socket.once('close', () => gone.abort())
  const deadline = setTimeout(() => socket.destroy(), context.limits.handshakeMilliseconds)
  socket.once('close', () => clearTimeout(deadline))
  try {
    const words = (await firstLine(socket)).split(' ')
    const byKey = words[0] === 'KEY'
    const [user = '', password = ''] = byKey ? words.slice(1) : words
    if (user === 'CANCEL') {
      context.broker.cancel(password, Buffer.from('cancel'))
      socket.end()
      return
    }
    const start = { protocol: 'echo', user, parameters: { database: 'd' }, clientAddress: socket.remoteAddress ?? '', serverEndPoint: new Uint8Array() }
    const conversation = context.broker.authenticate(byKey ? { ...start, proofFollows: true } : start, gone.signal)
    if (byKey) conversation.publicKey({ algorithm: 'ssh-ed25519', key: Buffer.from('k'), signature: Buffer.from(password), signedData: Buffer.from('d') })
    for (;;) {
      const step = await conversation.next()
      if (step.kind === 'password') conversation.password(Buffer.from(password))
      else if (step.kind === 'refused') return void socket.end(`ERR ${step.error.code}\n`)
      else if (step.kind === 'granted') {
        const session = await context.broker.open(step.granted, start.parameters, gone.signal)
        clearTimeout(deadline)
        context.authenticated()
        const key = `key-of-${session.sessionId}`
        socket.once('close', context.broker.registerCancel(key, session))
        socket.write(`OK ${session.sessionId} ${key}\n`)
        const { channel } = session
        channel.start({
          onData: (bytes) => {
            if (socket.write(bytes)) channel.consumed(bytes.length)
            else socket.once('drain', () => channel.consumed(bytes.length))
          },
          onEnd: () => socket.end(),
          onClose: (error) => socket.end(error ? `ERR ${error.code}\n` : ''),
        })
        socket.on('data', (chunk) => {
          if (channel.write(Buffer.from(chunk))) return
          socket.pause()
          void channel.writable().then(() => socket.resume())
        })
        socket.on('end', () => channel.end())
        socket.on('close', () => channel.close())
        socket.resume()
        return
      }
    }
  } catch (error) {
    socket.end(`ERR ${error instanceof Error && 'code' in error ? String(error.code) : 'INTERNAL'}\n`)
  }
}

function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const onData = (chunk: Buffer | string): void => {
      text += chunk.toString()
      if (!text.includes('\n')) return
      // Still flowing: a paused socket doesn't notice that the client has gone. Clients here wait for OK.
      socket.off('data', onData)
      socket.resume()
      resolve(text.trim())
    }
    socket.on('data', onData)
    socket.once('close', () => reject(new Error('closed')))
  })
}

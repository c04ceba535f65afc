// A bare two-hop TCP relay, the floor of an architecture with a gateway and an agent: nothing is looked at.
// Each hop is a process of its own, as in the real thing.
import net from 'node:net'

const [, , listenPort, targetHost, targetPort] = process.argv
const server = net.createServer({ noDelay: true, pauseOnConnect: true }, (client) => {
  const upstream = net.connect({ host: targetHost, port: Number(targetPort), noDelay: true })
  client.pipe(upstream)
  upstream.pipe(client)
  client.on('error', () => upstream.destroy())
  upstream.on('error', () => client.destroy())
  client.resume()
})
server.listen(Number(listenPort), '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`))
process.on('SIGTERM', () => process.exit(0))

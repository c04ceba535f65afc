export { sshFront } from './front.js'

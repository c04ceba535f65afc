export { postgresFront } from './front.js'

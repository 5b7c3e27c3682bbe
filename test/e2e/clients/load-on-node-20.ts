// Compat: the HTTP library below @kubernetes/client-node is made for Node 22 and uses what that has. Imported
// before it, this lets it run on Node 20: nobody here sends Zstandard, and nothing of it is sent to worker threads.
import workerThreads from 'node:worker_threads'
import zlib from 'node:zlib'

const compression = zlib as unknown as Record<string, unknown>
compression['createZstdDecompress'] ??= () => {
  throw new Error('this Node has no Zstandard')
}
const threads = workerThreads as unknown as Record<string, unknown>
threads['markAsUncloneable'] ??= () => {}
const promises = Promise as unknown as Record<string, unknown>
promises['withResolvers'] ??= () => {
  let resolve: unknown
  let reject: unknown
  const promise = new Promise((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

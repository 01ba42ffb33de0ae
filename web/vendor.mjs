// Copies what the browser folder needs of onnxruntime-web into kws/web/vendor; `make web` calls it.
// Each file must have the checksum below, so that a build today holds what a build of this commit held.

import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const SOURCE = new URL("node_modules/onnxruntime-web/dist/", import.meta.url);
const TARGET = new URL("../kws/web/vendor/", import.meta.url);

/** File -> SHA-256 of it in the package. The bundle has no WebGL and no WebGPU. */
const FILES = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
};

const contents = Object.entries(FILES).map(([name, expected]) => {
    const content = readFileSync(new URL(name, SOURCE));
    const found = createHash("sha256").update(content).digest("hex");
    if (found !== expected) {
        throw new Error(`${name}: SHA-256 is ${found}, web/vendor.mjs expects ${expected}`);
    }
    return [name, content];
});

rmSync(TARGET, { recursive: true, force: true });
mkdirSync(TARGET, { recursive: true });
for (const [name, content] of contents) {
    // The map of the source is no part of the folder, so that no developer tool shall ask for it.
    const kept = name.endsWith(".mjs") ? content.toString().replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n") : content;
    writeFileSync(new URL(name, TARGET), kept);
}
copyFileSync(new URL("onnxruntime-LICENSE.txt", import.meta.url), new URL("LICENSE.txt", TARGET));

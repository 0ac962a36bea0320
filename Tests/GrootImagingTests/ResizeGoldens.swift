/// Made by make_goldens.py with PyTorch 2.10.0: SHA-256 of `interpolate(uint8, bilinear)`.
struct ResizeGolden: Sendable {
    var from: [Int]
    var to: [Int]
    var sha256: String
    var head: [UInt8]

    static let all: [ResizeGolden] = [
        ResizeGolden(
            from: [640, 480],
            to: [224, 224],
            sha256: "6cc17e55a8c629959f813c57b222129cffdd4125f1e9ddc83d889b11a80bc25d",
            head: [139, 121, 85, 143, 111, 87, 135, 112, 87, 133, 154, 141]
        ),
        ResizeGolden(
            from: [640, 480],
            to: [96, 96],
            sha256: "bbc62d2e4287638c9d5397b643e47a74c51385c1be2ff4d18fab03af51bf3b89",
            head: [13, 188, 192, 158, 108, 135, 181, 241, 156, 100, 111, 204]
        ),
        ResizeGolden(
            from: [1280, 720],
            to: [256, 256],
            sha256: "14f5b9c584a31eb42ea6d4b5df65dfb0afe23510adb37659a4bda3e71a8f43fb",
            head: [200, 62, 60, 56, 176, 84, 207, 178, 81, 95, 121, 148]
        ),
        ResizeGolden(
            from: [320, 240],
            to: [196, 196],
            sha256: "3dd6e701dc5c273b5cad4edc5d7320ee7aadfd015070ee33cb812e29b418b8ca",
            head: [95, 182, 115, 160, 195, 32, 113, 119, 167, 76, 154, 206]
        ),
        ResizeGolden(
            from: [96, 96],
            to: [224, 224],
            sha256: "5c2f0cb40731c3cd6195fc8e6105c28de1f75bad321c3ea8f3f36e0bf37ed54e",
            head: [109, 235, 62, 107, 229, 75, 102, 213, 112, 97, 196, 150]
        ),
        ResizeGolden(
            from: [37, 23],
            to: [41, 19],
            sha256: "067b935f0354426e953cc65ad21951e17b309aaaaedac69a5273256073ab224b",
            head: [168, 108, 229, 220, 48, 140, 179, 113, 164, 181, 147, 211]
        ),
        ResizeGolden(
            from: [5, 7],
            to: [1, 1],
            sha256: "2ab147ffe3139032d8291153dc9b3ff42112d8c5b5a0313a6f93272034f427af",
            head: [115, 18, 19]
        ),
        ResizeGolden(
            from: [1, 1],
            to: [3, 2],
            sha256: "2b31e21f01482c9efcc0f1f04a6e42e0dace61eac8b65d9f26a8a9e695f0bae4",
            head: [63, 46, 186, 63, 46, 186, 63, 46, 186, 63, 46, 186]
        ),
        ResizeGolden(
            from: [640, 480],
            to: [640, 240],
            sha256: "20848a5f57781a5fc95150a67c6e3185fb74768201d8632a6b951885241e3dd8",
            head: [54, 121, 123, 154, 137, 75, 72, 177, 120, 128, 74, 92]
        ),
        ResizeGolden(
            from: [7, 480],
            to: [9, 480],
            sha256: "b7aef904df96a233ffbe2ba674de1bc84bb09fcfe66d1230cb8836508e0e4052",
            head: [129, 127, 15, 122, 198, 137, 154, 152, 119, 189, 41, 19]
        ),
    ]
}

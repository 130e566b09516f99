// SPDX-License-Identifier: Apache-2.0
// The contrast of every text in the page with what is behind it, by WCAG 2.1.
(() => {
    const numbers = colour => colour.match(/[\d.]+/g).map(Number);
    const luminance = colour => {
        const [r, g, b] = numbers(colour).map(value => {
            const part = value / 255;
            return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const background = node => {
        for (; node; node = node.parentElement) {
            const colour = getComputedStyle(node).backgroundColor;
            if (numbers(colour)[3] !== 0) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    const result = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        if (!walker.currentNode.textContent.trim() || !node.checkVisibility()) continue;
        const lights = [getComputedStyle(node).color, background(node)].map(luminance);
        const contrast = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
        result.push({ text: walker.currentNode.textContent, contrast });
    }
    return result;
})()

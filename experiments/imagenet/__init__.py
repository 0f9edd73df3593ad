"""Image classification: ImageNet, folders of class folders, handwritten digits."""

"""Images: decoding, cropping, augmentation, folders of classes."""
